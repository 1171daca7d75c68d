"""What do the bytes of an NVIDIA report say: GPUs (Hopper, Blackwell) and the switch LS10? No crypto.

Source: DMTF SPDM 1.1 (DSP0274), GET_MEASUREMENTS and MEASUREMENTS; NVIDIA's attestation SDK for the
opaque data. A report is the request and its response, one behind the other. All of it but the last 96
bytes, the signature, is signed. Lengths are little-endian.

Evidence is a report with its certificates as PEM behind it, leaf first, or a report alone.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from troth.errors import Malformed
from troth.wire import x509
from troth.wire.reader import Reader
from troth.wire.x509 import Certificate

START: Final = b"\x11\xe0\x01\xff"
PEM: Final = b"-----BEGIN "
REQUEST: Final = 37
SIGNATURE: Final = 96
NONCE: Final = 32
DIGEST: Final = 48
BLOCK: Final = 55

_RESPONSE: Final = b"\x11\x60\x00"
# DMTF's specification, 51 bytes: a digest of mutable firmware, 48 bytes.
_BLOCK_HEAD: Final = b"\x01\x33\x00\x01\x30\x00"
_TLV: Final = struct.Struct("<HH")
_HEADS: Final = tuple(bytes((index,)) + _BLOCK_HEAD for index in range(1, 65))
_HEAD: Final = len(_HEADS[0])
_DRIVER: Final = re.compile(rb"([0-9]{1,5}(?:\.[0-9]{1,5}){1,4})\0")
_SWITCH_VBIOS: Final = re.compile(rb"[0-9A-F]{2}(?:\.[0-9A-F]{2}){4}")
_WORD: Final = re.compile(rb"([A-Za-z0-9_.-]*)\0*")


class Kind(StrEnum):
    """What made the report."""

    GPU = "GPU"
    SWITCH = "switch"


_KINDS: Final = {64: Kind.GPU, 31: Kind.SWITCH}


class Field(IntEnum):
    """Types of opaque data. `PDI` is the list of switches in a GPU's report, and a switch's own name."""

    DRIVER_VERSION = 3
    GPU_INFO = 4
    VBIOS_VERSION = 6
    NVDEC0_STATUS = 11
    MSRSCNT = 12
    CPR_INFO = 13
    BOARD_ID = 14
    CHIP_SKU = 15
    CHIP_SKU_MOD = 16
    PROJECT = 17
    PROJECT_SKU = 18
    PROJECT_SKU_MOD = 19
    FWID = 20
    PROTECTED_PCIE_STATUS = 21
    PDI = 22
    FLOORSWEPT_PORTS = 23
    POSITION_ID = 24
    LOCK_SWITCH_STATUS = 25
    SWITCH_GPU_PDIS = 26
    GPU_LINK_CONN = 32
    SYS_ENABLE_STATUS = 33
    OPAQUE_DATA_VERSION = 34
    CHIP_INFO = 35
    FEATURE_FLAG = 36


_SIZES: Final[Mapping[int, int]] = {
    Field.NVDEC0_STATUS: 1,
    Field.FWID: DIGEST,
    Field.PROTECTED_PCIE_STATUS: 1,
    Field.OPAQUE_DATA_VERSION: 2,
    Field.FEATURE_FLAG: 2,
}
ON: Final = b"\xaa"
OFF: Final = b"\x55"
_MODES: Final = ("spt", "mpt", "ppcie")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One device's report, and the certificates that came with it. Parsed, not believed.

    Attributes:
        report: request and response.
        kind: by the number of its measurements.
        nonce: the requester's, 32 bytes.
        measurements: SHA-384 values; the first is the one that RIM documents call index 0.
        responder_nonce: the device's own, 32 bytes.
        opaque: type to data, in the order of the bytes.
        signature: r and s, 48 bytes each.
        pem: the certificates as they were given; empty where none were.
        chain: the same, read; leaf first.
        driver_version: such as `550.90.07`; empty in a switch's report.
        vbios_version: such as `96.00.9F.00.01`.
    """

    report: bytes
    kind: Kind
    nonce: bytes
    measurements: tuple[bytes, ...]
    responder_nonce: bytes
    opaque: Mapping[int, bytes]
    signature: bytes
    pem: bytes
    chain: tuple[Certificate, ...]
    driver_version: str
    vbios_version: str

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return self.report[:-SIGNATURE]

    @property
    def opaque_version(self) -> int:
        """Version of the opaque data; 0 where it does not say."""
        return int.from_bytes(self.opaque.get(Field.OPAQUE_DATA_VERSION, b""), "little")

    @property
    def mode(self) -> str:
        """`spt` (one GPU passed through), `mpt` (several), `ppcie` (GPUs and switches), or empty.

        Older drivers say only whether protected PCIe is on; the other two can't be told apart then.
        """
        flag = self.opaque.get(Field.FEATURE_FLAG)
        if flag is not None and self.opaque_version >= 1:
            number = int.from_bytes(flag, "little")
            return _MODES[number] if number < len(_MODES) else ""
        return "ppcie" if self.opaque.get(Field.PROTECTED_PCIE_STATUS) == ON else ""

    def word(self, field: Field) -> str:
        """A field of text, its NULs cut off; empty where there is none, or no such text."""
        match = _WORD.fullmatch(self.opaque.get(field, b""))
        return match[1].decode("ascii") if match else ""


def parse(data: bytes) -> Document:
    """Reads a report, and the certificates behind it.

    Raises:
        Malformed: not a report of a device that troth knows, a length that contradicts another, an
            opaque field twice or of a wrong size, a byte too many, or certificates that can't be read.
    """
    reader = Reader(data)
    if reader.take(4, "GET_MEASUREMENTS") != START:
        raise Malformed("asks for no signature, or not for all", field="GET_MEASUREMENTS", offset=0)
    nonce = reader.take(NONCE, "nonce")
    slot = reader.take(1, "slot")
    if reader.take(3, "MEASUREMENTS") != _RESPONSE:
        raise Malformed("is no answer of SPDM 1.1", field="MEASUREMENTS", offset=REQUEST)
    if reader.take(1, "slot of the answer") != slot:
        raise Malformed("is of another slot than was asked", field="slot", offset=REQUEST + 3)
    count = reader.uint(1, "number of blocks")
    kind = _KINDS.get(count)
    if kind is None:
        known = " or ".join(f"{number} ({known})" for number, known in _KINDS.items())
        raise Malformed(f"is {count}, should be {known}", field="number of blocks", offset=41)
    size = reader.uint(3, "record length", "little")
    if size != count * BLOCK:
        raise Malformed(f"is {size}, not {count} × {BLOCK}", field="record length", offset=42)
    measurements = _blocks(reader, count)
    responder_nonce = reader.take(NONCE, "responder nonce")
    opaque = _opaque(reader)
    signature = reader.take(SIGNATURE, "signature")
    end = len(data) - reader.remaining
    pem = data[end:]
    if pem and not pem.startswith(PEM):
        raise Malformed(
            "one trailing byte follows the signature, as some tools write it"
            if len(pem) == 1 or pem[1:].startswith(PEM)
            else f"{len(pem)} bytes follow that are no PEM certificates",
            field="trailing byte" if len(pem) == 1 or pem[1:].startswith(PEM) else "report",
            offset=end,
            fix="cut off what stands behind the signature: nothing signs it",
        )
    chain = _chain(pem) if pem else ()
    return Document(
        report=data[:end],
        kind=kind,
        nonce=nonce,
        measurements=measurements,
        responder_nonce=responder_nonce,
        opaque=opaque,
        signature=signature,
        pem=pem,
        chain=chain,
        driver_version=_driver(kind, opaque),
        vbios_version=_vbios(kind, opaque),
    )


def _chain(pem: bytes) -> tuple[Certificate, ...]:
    # Imported when it is asked for. What it remembers, the path's validation takes up.
    from troth.crypto import issued

    return tuple(map(issued.read, x509.read_pem(pem, field="certificates")))


def _blocks(reader: Reader, count: int) -> tuple[bytes, ...]:
    base = reader.offset
    record = reader.take(count * BLOCK, "measurement record")
    for place, head in enumerate(_HEADS[:count]):
        at = place * BLOCK
        if not record.startswith(head, at):
            field = f"measurement block {place + 1}"
            if record[at] != place + 1:
                raise Malformed("stands out of order", field=field, offset=base + at)
            raise Malformed("is no SHA-384 of DMTF's form", field=field, offset=base + at + 1)
    return tuple(record[at : at + DIGEST] for at in range(_HEAD, len(record), BLOCK))


def _opaque(reader: Reader) -> Mapping[int, bytes]:
    size = reader.uint(2, "opaque length", "little")
    base = reader.offset
    data = reader.take(size, "opaque data")
    found: dict[int, bytes] = {}
    at = 0
    while at < size:
        if at + _TLV.size > size:
            raise Malformed("ends amid a head", field="opaque type", offset=base + at)
        kind, length = _TLV.unpack_from(data, at)
        start, at = at + _TLV.size, at + _TLV.size + length
        value = data[start:at]
        if len(value) != length:
            left = f"needs {length} bytes, {len(value)} are left"
            raise Malformed(left, field=f"opaque field {kind}", offset=base + start)
        if kind in found:
            raise Malformed("stands twice", field=f"opaque field {kind}", offset=base + start)
        wanted = _SIZES.get(kind, length)
        if length != wanted:
            wrong = f"is {length} bytes, should be {wanted}"
            raise Malformed(wrong, field=f"opaque field {kind}", offset=base + start)
        found[kind] = value
    return MappingProxyType(found)


def _driver(kind: Kind, opaque: Mapping[int, bytes]) -> str:
    if kind is Kind.SWITCH:
        return ""
    match = _DRIVER.fullmatch(opaque.get(Field.DRIVER_VERSION, b""))
    if match is None:
        raise Malformed("is missing, or no version", field="driver version")
    return match[1].decode("ascii")


def _vbios(kind: Kind, opaque: Mapping[int, bytes]) -> str:
    """A GPU's: four bytes, least first, and one more behind them. A switch's is text."""
    raw = opaque.get(Field.VBIOS_VERSION, b"")
    if kind is Kind.SWITCH and _SWITCH_VBIOS.fullmatch(raw):
        return raw.decode("ascii")
    if kind is Kind.GPU and len(raw) == 8 and not any(raw[5:]):
        return ".".join(f"{byte:02X}" for byte in (*raw[3::-1], raw[4]))
    raise Malformed("is missing, or no version", field="VBIOS version")
