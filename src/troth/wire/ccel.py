"""Where did firmware leave its event log? The ACPI table CCEL.

Sources: UEFI 2.10, section 38, and ACPI 6.5, section 5.2.34.
"""

from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.wire.reader import Reader

_SIZE: Final = 56


@dataclass(frozen=True, slots=True, kw_only=True)
class CcelTable:
    """The ACPI table CCEL: where firmware left its event log.

    Attributes:
        cc_type: 1 for SEV, 2 for TDX.
        cc_subtype: 0 today.
        log_area_size: bytes reserved for the log, padding included.
        log_area_address: physical address of that area in the guest.
        oem: the table's OEM id, without the padding.
    """

    cc_type: int
    cc_subtype: int
    log_area_size: int
    log_area_address: int
    oem: str


def read(data: bytes) -> CcelTable:
    """Reads the ACPI table CCEL.

    Raises:
        Malformed: another table, another length or revision, or a checksum that does not add up to 0.
    """
    reader = Reader(data)
    if reader.take(4, "signature") != b"CCEL":
        raise Malformed("is not 'CCEL'", field="signature", offset=0)
    size = reader.uint(4, "length", "little")
    if size != _SIZE or len(data) != size:
        raise Malformed(
            f"is {size}, with {len(data)} bytes given; should be {_SIZE}",
            field="length",
            offset=4,
        )
    revision = reader.uint(1, "revision")
    if revision != 1:
        raise Malformed(f"is {revision}, should be 1", field="revision", offset=8)
    if sum(data) % 256:
        raise Malformed("does not make the bytes add up to 0", field="checksum", offset=9)
    reader.take(1, "checksum")
    oem = reader.take(6, "oem id")
    if not oem.isascii():
        raise Malformed("is not ASCII text", field="oem id", offset=10)
    reader.take(20, "oem table id to creator revision")
    cc_type = reader.uint(1, "cc type")
    cc_subtype = reader.uint(1, "cc subtype")
    if reader.uint(2, "reserved", "little"):
        raise Malformed("is not zero", field="reserved", offset=38)
    return CcelTable(
        cc_type=cc_type,
        cc_subtype=cc_subtype,
        log_area_size=reader.uint(8, "log area size", "little"),
        log_area_address=reader.uint(8, "log area address", "little"),
        oem=oem.decode("ascii").rstrip(" \0"),
    )
