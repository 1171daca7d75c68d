"""Asks for a TD quote, from inside a guest: through configfs-tsm, else `/dev/tdx_guest` and the QGS.

Source: linux/tdx-guest.h; Intel, «TDX Module ABI», TDREPORT_STRUCT.

Does not verify what comes: that is for whoever asked.
"""

import ctypes
from typing import Final

from troth.errors import Malformed, Unavailable
from troth.platforms import _guest, _tsm
from troth.platforms._guest import Ioctl
from troth.platforms.tdx import format, qgs  # noqa: A004

DEVICE: Final = "/dev/tdx_guest"
PROVIDER: Final = "tdx_guest"
GET_REPORT: Final = 0xC4405401  # _IOWR('T', 1, 1088 bytes)
_ABSENT: Final = "run this inside a trust domain, with its driver loaded (modprobe tdx-guest)"
_TDX_REPORT: Final = 0x81
_REPORT_DATA: Final = slice(128, 192)


class Request(ctypes.Structure):
    """`struct tdx_report_req`."""

    _fields_ = (("reportdata", ctypes.c_uint8 * 64), ("tdreport", ctypes.c_uint8 * 1024))


def collect(
    report_data: bytes,
    *,
    tsm: str = _tsm.BASE,
    device: str = DEVICE,
    service: tuple[int, int] | str = qgs.SERVICE,
    ioctl: Ioctl = _guest.kernel,
) -> bytes:
    """A quote over 64 bytes.

    Args:
        report_data: the 64 bytes.
        tsm: where configfs-tsm makes report folders; the device is asked where it is absent.
        device: the driver's device. It gives a report that only this machine can check.
        service: the host's quote service, which makes a quote of it: a vsock address, or the path of
            a unix socket.
        ioctl: how the device is asked.

    Raises:
        Misuse: not 64 bytes.
        Unavailable: this is no trust domain, or it may not or could not ask.
        Malformed: what came is no quote of a trust domain, or is over other data.
    """
    data = _guest.chosen(report_data)
    if _tsm.there(tsm):
        given = _tsm.ask(data, provider=PROVIDER, base=tsm).outblob
    else:
        given = qgs.quote(_report(data, device, ioctl), service=service)
    bare = format.unwrap(given)
    if bare is None:
        raise Malformed("is none of a trust domain", field="quote", offset=0)
    if format.parse(bare[0]).field("reportdata") != data:
        raise Malformed("is not what was asked for", field="reportdata")
    return bare[0]


def _report(data: bytes, path: str, ioctl: Ioctl) -> bytes:
    request = Request((ctypes.c_uint8 * 64)(*data))
    with _guest.opened(path, fix=_ABSENT) as fd:
        error = _guest.refused(fd, GET_REPORT, request, ioctl=ioctl)
    if error is not None:
        raise Unavailable(f"{path} gave no report: {error.strerror}", fix=_ABSENT) from error
    report = bytes(request.tdreport)
    if report[0] != _TDX_REPORT or report[_REPORT_DATA] != data:
        raise Malformed("is no TDX report over what was asked for", field="TDREPORT", offset=0)
    return report
