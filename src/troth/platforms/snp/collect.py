"""Asks the AMD secure processor, from inside a guest: through configfs-tsm, else `/dev/sev-guest`.

Source: linux/sev-guest.h; «SEV Secure Nested Paging Firmware ABI» (56860), MSG_REPORT_RSP; «GHCB»
(56421), SNP Extended Guest Request.

Does not verify what the processor signs: that is for whoever asked.
"""

import ctypes
from typing import Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.platforms import _guest, _tsm
from troth.platforms._guest import Ioctl
from troth.platforms.snp import format  # noqa: A004
from troth.platforms.snp.table import MAX_TABLE

DEVICE: Final = "/dev/sev-guest"
PROVIDER: Final = "sev_guest"
# _IOWR('S', 0 and 2, 32 bytes).
GET_REPORT: Final = 0xC0205300
GET_EXTENDED_REPORT: Final = 0xC0205302
_ABSENT: Final = "run this inside an SNP guest, with its driver loaded (modprobe sev-guest)"
_HEAD: Final = 32  # status, size, reserved, in front of the report
_PAGE: Final = 4096
_TABLE_TOO_SMALL: Final = 1  # host's error: the table needs more room
_BUSY: Final = 2  # host's error: too many requests
_GROWTHS: Final = 3
_STATUS: Final = {0x16: "it may not report this VMPL", 0x27: "it has no such key"}


class Request(ctypes.Structure):
    """`struct snp_report_req`."""

    _fields_ = (
        ("user_data", ctypes.c_uint8 * 64),
        ("vmpl", ctypes.c_uint32),
        ("reserved", ctypes.c_uint8 * 28),
    )


class ExtendedRequest(ctypes.Structure):
    """`struct snp_ext_report_req`."""

    _fields_ = (
        ("data", Request),
        ("certs_address", ctypes.c_uint64),
        ("certs_len", ctypes.c_uint32),
    )


class Response(ctypes.Structure):
    """`struct snp_report_resp`."""

    _fields_ = (("data", ctypes.c_uint8 * 4000),)


class Message(ctypes.Structure):
    """`struct snp_guest_request_ioctl`."""

    _fields_ = (
        ("msg_version", ctypes.c_uint8),
        ("req_data", ctypes.c_uint64),
        ("resp_data", ctypes.c_uint64),
        ("fw_error", ctypes.c_uint32),
        ("vmm_error", ctypes.c_uint32),
    )


def collect(
    report_data: bytes,
    *,
    vmpl: int | None = None,
    certificates: bool = True,
    tsm: str = _tsm.BASE,
    device: str = DEVICE,
    ioctl: Ioctl = _guest.kernel,
) -> bytes:
    """An attestation report over 64 bytes, with the host's certificate table where it has one.

    Args:
        report_data: the 64 bytes.
        vmpl: the privilege level to report, 0 to 3; the lowest that this guest may ask for where
            None is given, which through the device cannot be known and is 0.
        certificates: whether the host's table is asked for. A host may put anything there.
        tsm: where configfs-tsm makes report folders; the device is asked where it is absent.
        device: the driver's device.
        ioctl: how the device is asked.

    Raises:
        Misuse: not 64 bytes, or no such level.
        Unavailable: this is no SNP guest, or it may not or could not ask.
        Malformed: what came is no report, or is over other data, or of another level.
    """
    data = _guest.chosen(report_data)
    if vmpl is not None and vmpl not in range(4):
        raise Misuse(f"VMPL {vmpl}, should be 0 to 3")
    if _tsm.there(tsm):
        answer = _tsm.ask(data, provider=PROVIDER, base=tsm, level=vmpl)
        report, table = answer.outblob, answer.auxblob if certificates else b""
    else:
        with _guest.opened(device, fix=_ABSENT) as fd:
            report, table = _asked(fd, data, vmpl or 0, ioctl, certificates=certificates)
    if len(report) != format.SIZE:
        raise Malformed(f"is {len(report)} bytes, should be {format.SIZE}", field="report")
    said = format.parse(report)
    if said.report_data != data:
        raise Malformed("is not what was asked for", field="report_data", offset=0x50)
    if vmpl is not None and said.vmpl != vmpl:
        raise Malformed(f"is {said.vmpl}, {vmpl} was asked for", field="vmpl", offset=0x30)
    return report + _readable(report, table) if any(table) else report


def _readable(report: bytes, table: bytes) -> bytes:
    try:
        format.parse(report + table)
    except Malformed as error:
        raise Malformed(
            f"is none that troth reads ({error})",
            field="the host's certificate table",
            fix="collect without the host's certificates; a verifier can fetch them from AMD",
        ) from error
    return table


def _asked(
    fd: int, data: bytes, vmpl: int, ioctl: Ioctl, *, certificates: bool
) -> tuple[bytes, bytes]:
    """The report, and the table as the driver gives it: whole pages, zeros where there is none."""
    asked = Request((ctypes.c_uint8 * 64)(*data), vmpl)
    response = Response()
    if not certificates:
        _sent(fd, GET_REPORT, asked, response, ioctl)
        return _report(bytes(response)), b""
    size = 0  # with no room for a table the host says how much it needs
    for _ in range(_GROWTHS):
        table = (ctypes.c_uint8 * max(size, 1))()
        request = ExtendedRequest(asked, ctypes.addressof(table) if size else 0, size)
        if _sent(fd, GET_EXTENDED_REPORT, request, response, ioctl):
            return _report(bytes(response)), bytes(table)[:size]
        if not size < request.certs_len <= MAX_TABLE or request.certs_len % _PAGE:
            raise Malformed(
                f"asks for {request.certs_len} bytes after {size}",
                field="the host's certificate table",
                fix="collect without the host's certificates",
            )
        size = request.certs_len
    raise Unavailable(
        "the host's certificate table grew each time it was asked for",
        fix="collect without the host's certificates",
    )


def _sent(
    fd: int,
    number: int,
    request: Request | ExtendedRequest,
    response: Response,
    ioctl: Ioctl,
) -> bool:
    """Whether there is a response; if not, the table needs more room."""
    message = Message(1, ctypes.addressof(request), ctypes.addressof(response))
    error = _guest.refused(fd, number, message, ioctl=ioctl)
    if error is None:
        return True
    if message.vmm_error == _TABLE_TOO_SMALL and isinstance(request, ExtendedRequest):
        return False
    busy = message.vmm_error == _BUSY
    raise Unavailable(
        f"the secure processor gave no report: {error.strerror} (firmware's error "
        f"{message.fw_error:#x}, host's error {message.vmm_error:#x})",
        fix="try again later: the host limits how often may be asked" if busy else "",
    ) from error


def _report(response: bytes) -> bytes:
    status = int.from_bytes(response[0:4], "little")
    if status:
        raise Unavailable(
            f"the secure processor refused: {_STATUS.get(status, 'unknown')} (status {status:#x})",
            fix="ask for the VMPL that this guest runs at, or a higher one",
        )
    size = int.from_bytes(response[4:8], "little")
    if size != format.SIZE:
        raise Malformed(f"is {size}, should be {format.SIZE}", field="report size", offset=4)
    return response[_HEAD : _HEAD + size]
