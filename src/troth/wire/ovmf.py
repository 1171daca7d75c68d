"""OVMF firmware images: what they say to the machine that will load them.

A confidential machine's firmware tells its loader which memory to prepare, in a table of blocks named
by GUIDs that ends 32 bytes before the image's end (edk2, OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm)
and is read from its end to its front: each block is data, a u16 that counts the whole block, a GUID.
All integers are little-endian. Two blocks point to lists of sections elsewhere in the image: AMD's
(X64/OvmfSevMetadata.asm) and Intel's (X64/IntelTdxMetadata.asm; TDVF Design Guide 1.01, section 11).

Loaders differ in what they forgive. Here an image is read only when it can be loaded in one way:
sections lie on page borders inside their bounds, none overlaps another, no kind is unknown, and no
block is named twice. A sane firmware prepares about 1 MiB; 64 MiB is the limit.

Does not verify: that the code in the image is any good, or that a processor would run it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from troth.errors import Malformed
from troth.wire.reader import Reader

PAGE: Final = 4096
TOP: Final = 1 << 32
"""The image's last byte is the last one below 4 GiB, where processors begin."""
MAX_SIZE: Final = 16 * 1024 * 1024
MAX_PREPARED: Final = 64 * 1024 * 1024
MAX_SECTIONS: Final = 64
AFTER_TABLE: Final = 32
HASHES_SIZE: Final = 176
"""Bytes of a table of kernel hashes, padding included, as QEMU writes it."""

FOOTER: Final = UUID("96b582de-1fb2-45f7-baea-a366c55a082d")
SEV_METADATA: Final = UUID("dc886566-984a-4798-a75e-5585a7bf67cc")
SEV_HASHES: Final = UUID("7255371f-3a3b-4b04-927b-1da6efa8d454")
SEV_ES_RESET: Final = UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
TDX_METADATA: Final = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2")

_NAMES: Final[Mapping[UUID, str]] = {
    SEV_METADATA: "SEV metadata",
    SEV_HASHES: "SEV hashes table",
    SEV_ES_RESET: "SEV-ES reset block",
    TDX_METADATA: "TDX metadata",
}
_NAME_SIZE: Final = 18  # u16 size of the block, and its GUID


class SevKind(IntEnum):
    """What AMD's loader does with a section."""

    MEMORY = 1
    SECRETS = 2
    CPUID = 3
    CALLING_AREA = 4
    KERNEL_HASHES = 0x10


_ONE_PAGE: Final = frozenset({SevKind.SECRETS, SevKind.CPUID, SevKind.KERNEL_HASHES})


class TdxKind(IntEnum):
    """What Intel's loader does with a section."""

    CODE = 0
    VARIABLES = 1
    HANDOFF = 2
    MEMORY = 3


_FROM_IMAGE: Final = frozenset({TdxKind.CODE, TdxKind.VARIABLES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of the table.

    Attributes:
        data: without size and GUID.
        offset: where the data begin in the image.
    """

    data: bytes
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SevSection:
    """Memory that AMD's loader prepares.

    Attributes:
        kind: what for.
        address: in the guest, on a page border.
        size: in bytes, whole pages.
    """

    kind: SevKind
    address: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxSection:
    """Memory that Intel's loader adds to the guest.

    Attributes:
        kind: what for.
        address: in the guest, on a page border.
        size: in bytes, whole pages.
        data: what it holds, `size` bytes of the image; empty where it holds zeros or the loader's words.
        measured: its content goes into MRTD, and not its address alone.
    """

    kind: TdxKind
    address: int
    size: int
    data: memoryview
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ovmf:
    """An image and its table.

    Attributes:
        data: the whole image.
        table: blocks by GUID.
    """

    data: bytes
    table: Mapping[UUID, Block]

    @property
    def address(self) -> int:
        """Where the image begins in the guest."""
        return TOP - len(self.data)

    def reset_address(self) -> int:
        """Where all processors but the first begin under SEV-ES and SEV-SNP.

        Raises:
            Malformed: the image does not say.
        """
        address = _number(_block(self, SEV_ES_RESET), _NAMES[SEV_ES_RESET])
        if address == 0:
            raise Malformed("it is zero", field=_NAMES[SEV_ES_RESET], offset=self._at(SEV_ES_RESET))
        return address

    def hashes_address(self) -> int | None:
        """Where the table of kernel hashes goes in the guest, or None where the image takes none.

        Raises:
            Malformed: the block is not two u32, or its area is too small or leaves its page.
        """
        block = self.table.get(SEV_HASHES)
        if block is None:
            return None
        name = _NAMES[SEV_HASHES]
        reader = Reader(block.data, base=block.offset)
        address, size = (reader.uint(4, name, "little") for _ in range(2))
        reader.end(name)
        if address == 0 and size == 0:
            return None
        if size < HASHES_SIZE or address % PAGE + HASHES_SIZE > PAGE:
            raise Malformed(
                f"{size} bytes at {address:#x} do not hold {HASHES_SIZE} bytes within one page",
                field=name,
                offset=block.offset,
            )
        return address

    def sev_sections(self) -> tuple[SevSection, ...]:
        """AMD's sections, in the order in which they are loaded.

        Raises:
            Malformed: the image has none, or they could be read in two ways.
        """
        reader, count = _descriptor(self, SEV_METADATA, signature=b"ASEV", entry=12)
        sections = tuple(_sev_section(reader, index) for index in range(count))
        kinds = [section.kind for section in sections if section.kind in _ONE_PAGE]
        if len(kinds) != len(set(kinds)):
            raise Malformed("secrets, CPUID and hashes have one page each", field="SEV metadata")
        ranges = [(section.address, section.size) for section in sections]
        _check_ranges([*ranges, (self.address, len(self.data))], "SEV metadata")
        return sections

    def tdx_sections(self) -> tuple[TdxSection, ...]:
        """Intel's sections, in the order in which they are loaded.

        Raises:
            Malformed: the image has none, they could be read in two ways, or MRTD would not depend
                on the image's code alone.
        """
        reader, count = _descriptor(self, TDX_METADATA, signature=b"TDVF", entry=32)
        sections = tuple(_tdx_section(self.data, reader, index) for index in range(count))
        kinds = [section.kind for section in sections]
        if TdxKind.CODE not in kinds or kinds.count(TdxKind.HANDOFF) != 1:
            raise Malformed(
                "there must be code (BFV), and one handoff block (TD_HOB)", field="TDX metadata"
            )
        _check_ranges([(section.address, section.size) for section in sections], "TDX metadata")
        return sections

    def _at(self, name: UUID) -> int:
        return self.table[name].offset


def is_firmware(data: bytes | memoryview) -> bool:
    """Whether this should be read as firmware: it ends as an image does, or begins as a volume does.

    Variables without code are such a volume, and `read` says what is wrong with them.
    """
    end = len(data) - AFTER_TABLE
    return bytes(data[max(end - 16, 0) : max(end, 0)]) == FOOTER.bytes_le or data[40:44] == b"_FVH"


def read(data: bytes) -> Ovmf:
    """Read an image's table.

    Args:
        data: the whole file that the machine maps below 4 GiB: `OVMF.fd`, or `OVMF_CODE.fd` where
            variables are kept in a file of their own.

    Raises:
        Malformed: the image is no whole number of pages, is empty or larger than 16 MiB, or has no
            table that fills the size it states.
    """
    if not data or len(data) % PAGE or len(data) > MAX_SIZE:
        raise Malformed(
            f"{len(data)} bytes are not between 1 and {MAX_SIZE // PAGE} pages of {PAGE} bytes",
            field="firmware",
        )
    end = len(data) - AFTER_TABLE
    size, name = _name(data, end)
    if name != FOOTER:
        raise Malformed(
            f"no table of GUIDs ends here, but {name}",
            field="table footer",
            offset=end - 16,
            fix="give the firmware's code (OVMF.fd or OVMF_CODE.fd), not its variables",
        )
    start = end - size
    if start < 0 or size < _NAME_SIZE:
        raise Malformed(f"{size} bytes do not fit", field="table footer", offset=end - _NAME_SIZE)
    blocks = _blocks(data, start, end - _NAME_SIZE)
    return Ovmf(data=data, table=MappingProxyType(blocks))


def _name(data: bytes, end: int) -> tuple[int, UUID]:
    """Size and GUID, which stand behind what they name."""
    return int.from_bytes(data[end - 18 : end - 16], "little"), UUID(bytes_le=data[end - 16 : end])


def _blocks(data: bytes, start: int, end: int) -> dict[UUID, Block]:
    table: dict[UUID, Block] = {}
    while end > start:
        if end - start < _NAME_SIZE:
            raise Malformed(f"{end - start} bytes are no block", field="table", offset=start)
        size, name = _name(data, end)
        if size < _NAME_SIZE or size > end - start:
            raise Malformed(
                f"a size of {size}, where {end - start} bytes are left",
                field=f"table block {name}",
                offset=end - _NAME_SIZE,
            )
        if name in table:
            raise Malformed("it is there twice", field=f"table block {name}", offset=end - size)
        table[name] = Block(data=data[end - size : end - _NAME_SIZE], offset=end - size)
        end -= size
    return table


def _block(image: Ovmf, name: UUID) -> Block:
    found = image.table.get(name)
    if found is None:
        raise Malformed(
            f"the firmware's table has no block {name}",
            field=_NAMES[name],
            fix="use firmware built for this kind of machine",
        )
    return found


def _number(block: Block, name: str) -> int:
    reader = Reader(block.data, base=block.offset)
    number = reader.uint(4, name, "little")
    reader.end(name)
    return number


def _descriptor(image: Ovmf, name: UUID, *, signature: bytes, entry: int) -> tuple[Reader, int]:
    """A reader that stands at the first section, and the number of sections.

    The 16 bytes before a descriptor should be a GUID; no loader looks at them, and nor do we.
    """
    title = _NAMES[name]
    block = _block(image, name)
    back = _number(block, title)
    if back > len(image.data):
        raise Malformed(f"{back} bytes before the end is outside", field=title, offset=block.offset)
    start = len(image.data) - back
    reader = Reader(memoryview(image.data)[start:], base=start)
    if (found := reader.take(4, f"{title} signature")) != signature:
        raise Malformed(f"{found!r} is not {signature!r}", field=f"{title} signature", offset=start)
    size, version, count = (reader.uint(4, title, "little") for _ in range(3))
    if version != 1:
        raise Malformed(f"version {version} is not 1", field=title, offset=start + 8)
    if not 1 <= count <= MAX_SECTIONS or size != 16 + count * entry:
        raise Malformed(
            f"{count} sections of {entry} bytes in {size} bytes", field=title, offset=start + 4
        )
    return reader, count


def _sev_section(reader: Reader, index: int) -> SevSection:
    field = f"SEV metadata section {index}"
    start = reader.offset
    address, size, number = (reader.uint(4, field, "little") for _ in range(3))
    if number not in set(SevKind):
        raise Malformed(f"kind {number:#x} is unknown", field=field, offset=start)
    kind = SevKind(number)
    _check_pages(address, size, top=TOP, field=field, offset=start)
    if kind in _ONE_PAGE and size != PAGE:
        raise Malformed(f"{size} bytes, where one page is needed", field=field, offset=start)
    return SevSection(kind=kind, address=address, size=size)


def _tdx_section(data: bytes, reader: Reader, index: int) -> TdxSection:
    field = f"TDX metadata section {index}"
    start = reader.offset
    offset, raw = (reader.uint(4, field, "little") for _ in range(2))
    address, size = (reader.uint(8, field, "little") for _ in range(2))
    number, attributes = (reader.uint(4, field, "little") for _ in range(2))

    def wrong(what: str, fix: str = "") -> Malformed:
        return Malformed(what, field=field, offset=start, fix=fix)

    # td-shim has more kinds and attributes (memory added later, payloads): none is predicted here.
    if number not in set(TdxKind) or attributes not in (0, 1):
        raise wrong(f"kind {number} with attributes {attributes:#x} is not one of OVMF's")
    kind, measured = TdxKind(number), bool(attributes)
    _check_pages(address, size, top=1 << 52, field=field, offset=start)
    if kind in _FROM_IMAGE:
        if raw != size:
            # What fills the rest differs between loaders.
            raise wrong(f"{raw} bytes of the image for {size} bytes of memory")
        if offset + raw > len(data):
            raise wrong(
                f"{raw} bytes at {offset:#x} leave the image of {len(data)} bytes",
                "give the whole image (OVMF.fd), with its variables",
            )
    elif raw or offset:
        raise wrong(f"{raw} bytes of the image for memory that holds none")
    if kind is TdxKind.CODE and not measured:
        raise wrong("code that is not measured would give every image one MRTD")
    if kind is TdxKind.HANDOFF and measured:
        raise wrong(
            "the handoff block is the loader's, so MRTD would not depend on the image alone"
        )
    view = memoryview(data)[offset : offset + raw]
    return TdxSection(kind=kind, address=address, size=size, data=view, measured=measured)


def _check_pages(address: int, size: int, *, top: int, field: str, offset: int) -> None:
    if size == 0 or address % PAGE or size % PAGE or address + size > top:
        raise Malformed(
            f"{size:#x} bytes at {address:#x} are not whole pages below {top:#x}",
            field=field,
            offset=offset,
        )


def _check_ranges(ranges: Iterable[tuple[int, int]], field: str) -> None:
    """No two overlap, and together they are no more than a firmware needs."""
    total, last = 0, 0
    for address, size in sorted(ranges):
        if address < last:
            raise Malformed(f"two sections cover the memory at {address:#x}", field=field)
        last = address + size
        total += size
    if total > MAX_PREPARED:
        raise Malformed(f"{total} bytes to prepare; {MAX_PREPARED} is the limit", field=field)
