"""The certificate table behind an extended report (GHCB specification, SNP Extended Guest Request).

The host writes it and nothing signs it: it is a hint of where endorsements may be had from, and what
it holds is believed no more than collateral from anywhere else.

Entries of 24 bytes, {GUID 16, offset u32, length u32}, ended by an entry of zeros; offsets count from
the table's first byte. GUIDs stand in RFC 4122's order in practice, and some tools write them with
their first three parts little-endian: both orders are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from uuid import UUID

from troth.errors import Malformed
from troth.wire.reader import Reader

MAX_TABLE: Final = 64 * 1024
MAX_ENTRIES: Final = 16
_ENTRY: Final = 24
# Hosts hand whole pages to the guest.
_PAGE: Final = 4096
_KNOWN: Final = {
    UUID("63da758d-e664-4564-adc5-f4b93be8accd"): "VCEK",
    UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1"): "VLEK",
    UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782"): "ASK",
    UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae"): "ARK",
    UUID("92f81bc3-5811-4d3d-97ff-d19f88dc67ea"): "CRL",
}
GUIDS: Final[Mapping[str, bytes]] = MappingProxyType({n: g.bytes for g, n in _KNOWN.items()})
_NAMES: Final = {
    order: name for guid, name in _KNOWN.items() for order in (guid.bytes, guid.bytes_le)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What stands in a certificate table.

    Attributes:
        entries: `VCEK`, `VLEK`, `ASK`, `ARK` or `CRL` to its bytes.
        unknown: GUIDs, in hex, of entries that are no certificates; hosts put data of their own there.
    """

    entries: Mapping[str, bytes]
    unknown: tuple[str, ...] = ()


NONE: Final = Table(entries=MappingProxyType({}))


def read(data: bytes, *, base: int) -> Table:
    """Reads a table that is all of `data`.

    Args:
        data: the table and what its entries point to; zeros may fill it up to a whole page.
        base: where it begins in the evidence, for errors.

    Raises:
        Malformed: no end, no entry or too many, an entry twice, one that points outside or into the
            table or another entry, or a byte that belongs to nothing and is not zero.
    """
    if len(data) > MAX_TABLE:
        raise Malformed(f"is larger than {MAX_TABLE} bytes", field="certificate table", offset=base)
    reader = Reader(data, base=base)
    spans: dict[bytes, tuple[int, int]] = {}
    while True:
        at = reader.offset
        entry = reader.take(_ENTRY, "certificate table")
        if not any(entry):
            break
        guid = entry[:16]
        if guid in spans or len(spans) == MAX_ENTRIES:
            raise Malformed("has an entry twice, or too many", field="certificate table", offset=at)
        start = int.from_bytes(entry[16:20], "little")
        spans[guid] = (start, start + int.from_bytes(entry[20:24], "little"))
    if not spans:
        raise Malformed("has no entry", field="certificate table", offset=base)
    _tile(data, spans, head=len(data) - reader.remaining, base=base)
    entries, unknown = {}, []
    for guid, (start, end) in spans.items():
        name = _NAMES.get(guid)
        if name is None:
            unknown.append(guid.hex())
        elif name in entries:
            raise Malformed("stands twice", field=f"certificate table {name}", offset=base + start)
        else:
            entries[name] = data[start:end]
    return Table(entries=MappingProxyType(entries), unknown=tuple(unknown))


def _tile(data: bytes, spans: Mapping[bytes, tuple[int, int]], *, head: int, base: int) -> None:
    """Every byte behind the table belongs to exactly one entry, or is a zero that fills."""
    field = "certificate table"
    last = head
    for start, end in sorted(spans.values()):
        if not last <= start < end <= len(data):
            raise Malformed(
                f"has an entry of bytes {start} to {end}, which is empty, outside or in another",
                field=field,
                offset=base,
            )
        if any(data[last:start]):
            raise Malformed("has bytes of no entry", field=field, offset=base + last)
        last = end
    if any(data[last:]) or (last < len(data) and len(data) % _PAGE):
        raise Malformed("has bytes behind its last entry", field=field, offset=base + last)
