"""Enclave image files (EIF): a strict reader, and a writer of version 4.

A file is a 548-byte header and then sections back to back, each a 12-byte header and its data; all
integers are big-endian. Loaders disagree about how to walk it (some trust the table of offsets in the
header, others go from section to section, some hash only what they list), so a file is read only
when every way of walking it gives the same sections: the table agrees with the walk, nothing
overlaps, nothing is left over, and the CRC covers every byte.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate
from typing import BinaryIO, Final

from troth.errors import Malformed, Misuse
from troth.wire.reader import Reader

MAGIC: Final = b".eif"
VERSION: Final = 4
HEADER_SIZE: Final = 548
SECTION_HEADER_SIZE: Final = 12
MAX_SECTIONS: Final = 32
MAX_SIGNATURE: Final = 32768
MAX_METADATA: Final = 1024 * 1024
MAX_COMMAND_LINE: Final = 64 * 1024
CRC_OFFSET: Final = 0x220
OLDEST_VERSION: Final = 2
FLAG_AARCH64: Final = 1

Piece = bytes | memoryview


class Kind(IntEnum):
    """What a section holds."""

    KERNEL = 1
    COMMAND_LINE = 2
    RAMDISK = 3
    SIGNATURE = 4
    METADATA = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section.

    Attributes:
        kind: what it holds.
        pieces: its data, cut anywhere; an image is written without ever being joined in memory.
        offset: where its data begin in the file it was read from; 0 in one that was not read.
    """

    kind: Kind
    pieces: tuple[Piece, ...]
    offset: int = 0

    @property
    def size(self) -> int:
        """Bytes of data, without the section's header."""
        return sum(len(piece) for piece in self.pieces)

    @property
    def data(self) -> Piece:
        """The data in one piece; copied only where there are several."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eif:
    """A whole image.

    Attributes:
        sections: in the order of the file.
        version: of the format, 2 to 4.
        flags: bit 0 is the architecture (0 is x86-64, 1 is AArch64).
        default_memory: bytes of memory that its builder had in mind; loaders ignore it.
        default_cpus: the same for processors.
    """

    sections: tuple[Section, ...]
    version: int = VERSION
    flags: int = 0
    default_memory: int = 0
    default_cpus: int = 0

    def __post_init__(self) -> None:
        """Refuse what no loader would take, when it is made as when it is read."""
        _check_sections([section.kind for section in self.sections], version=self.version)

    def only(self, kind: Kind) -> Section | None:
        """The section of a kind of which there is at most one."""
        return next((section for section in self.sections if section.kind is kind), None)

    @property
    def architecture(self) -> str:
        """`x86_64` or `aarch64`."""
        return "aarch64" if self.flags & FLAG_AARCH64 else "x86_64"

    @property
    def kernel(self) -> Section:
        """The kernel: a bzImage on x86-64."""
        return self.sections[0]

    @property
    def command_line(self) -> Section:
        """The kernel's command line, without a NUL at its end. Every byte of it is measured."""
        return next(section for section in self.sections if section.kind is Kind.COMMAND_LINE)

    @property
    def ramdisks(self) -> tuple[Section, ...]:
        """The cpio archives, in the order in which they are unpacked over each other."""
        return tuple(section for section in self.sections if section.kind is Kind.RAMDISK)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        data = sum(section.size for section in self.sections)
        return HEADER_SIZE + SECTION_HEADER_SIZE * len(self.sections) + data


@dataclass(slots=True)
class _Table:
    """The header's own list of sections."""

    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def read(data: Piece) -> Eif:
    """The image that these bytes are.

    Args:
        data: the whole file; section data are views of it, never copies.

    Raises:
        Malformed: wrong magic, a version that is not 2 to 4, reserved bits, a table that contradicts
            the sections, a gap, an overlap, trailing bytes, a missing or repeated section, wrong CRC.

    Does not verify: a signature section, the kernel, the archives, the metadata's JSON.
    """
    view = memoryview(data)
    reader = Reader(view[:HEADER_SIZE])
    if (magic := reader.take(4, "eif.magic")) != MAGIC:
        raise Malformed(f"is {magic.hex()}, not 2e656966", field="eif.magic", offset=0)
    version = reader.uint(2, "eif.version")
    if not OLDEST_VERSION <= version <= VERSION:
        raise Malformed(
            f"is {version}; 2 to {VERSION} are known", field="eif.version", offset=reader.offset - 2
        )
    flags = reader.uint(2, "eif.flags")
    if flags & ~FLAG_AARCH64:
        raise Malformed(f"are 0x{flags:04x}; only bit 0 is defined", field="eif.flags", offset=6)
    memory = reader.uint(8, "eif.default_mem")
    cpus = reader.uint(8, "eif.default_cpus")
    if reader.uint(2, "eif.reserved"):
        raise Malformed("is not zero", field="eif.reserved", offset=0x18)
    count = reader.uint(2, "eif.num_sections")
    if not 2 <= count <= MAX_SECTIONS:
        raise Malformed(
            f"is {count}; 2 to {MAX_SECTIONS} are allowed", field="eif.num_sections", offset=0x1A
        )
    table = _table(reader, count)
    if reader.uint(4, "eif.unused"):
        raise Malformed("is not zero", field="eif.unused", offset=0x21C)
    crc = reader.uint(4, "eif.crc32")
    sections = _walk(view, table, count, version)
    found = zlib.crc32(view[HEADER_SIZE:], zlib.crc32(view[:CRC_OFFSET]))
    if found != crc:
        raise Malformed(
            f"is {crc:08x}, the bytes give {found:08x}",
            field="eif.crc32",
            offset=CRC_OFFSET,
            fix="get the file again; it was changed or cut after it was made",
        )
    return Eif(
        sections=sections,
        version=version,
        flags=flags,
        default_memory=memory,
        default_cpus=cpus,
    )


def _table(reader: Reader, count: int) -> _Table:
    """Offsets and sizes; zeros from the last section on."""
    table = _Table()
    for name, column in (("offsets", table.offsets), ("sizes", table.sizes)):
        for index in range(MAX_SECTIONS):
            column.append(reader.uint(8, f"eif.section_{name}[{index}]"))
            if index >= count and column[index]:
                raise Malformed(
                    "is set, but there is no such section",
                    field=f"eif.section_{name}[{index}]",
                    offset=reader.offset - 8,
                )
    return table


def _walk(view: memoryview, table: _Table, count: int, version: int) -> tuple[Section, ...]:
    """Go from section to section and hold each against the table."""
    sections = []
    at = HEADER_SIZE
    for index in range(count):
        name = f"eif.sections[{index}]"
        if table.offsets[index] != at:
            raise Malformed(
                f"is {table.offsets[index]}, but the section begins at byte {at}",
                field=f"eif.section_offsets[{index}]",
                offset=0x1C + 8 * index,
            )
        reader = Reader(view[at : at + SECTION_HEADER_SIZE], base=at)
        number = reader.uint(2, f"{name}.type")
        if number not in Kind._value2member_map_:
            raise Malformed(f"is {number}; 1 to 5 are known", field=f"{name}.type", offset=at)
        if reader.uint(2, f"{name}.flags"):
            raise Malformed("are not zero", field=f"{name}.flags", offset=at + 2)
        size = reader.uint(8, f"{name}.size")
        if size != table.sizes[index]:
            raise Malformed(
                f"is {size}, but the table says {table.sizes[index]}",
                field=f"{name}.size",
                offset=at + 4,
            )
        begin = at + SECTION_HEADER_SIZE
        if size > len(view) - begin:
            raise Malformed(
                f"is {size}, but {len(view) - begin} bytes are left",
                field=f"{name}.size",
                offset=at + 4,
                fix="the file ends too early: copy it again, or build it again",
            )
        kind = Kind(number)
        limit = _LIMITS.get(kind)
        if limit is not None and size > limit:
            raise Malformed(
                f"is {size}; {kind.name.lower()} may have {limit} bytes",
                field=f"{name}.size",
                offset=at + 4,
            )
        at = begin + size
        sections.append(Section(kind=kind, pieces=(view[begin:at],), offset=begin))
    if at != len(view):
        raise Malformed(f"{len(view) - at} bytes follow", field="eif.end", offset=at)
    _check_sections([section.kind for section in sections], version=version)
    return tuple(sections)


_LIMITS: Final = {
    Kind.SIGNATURE: MAX_SIGNATURE,
    Kind.METADATA: MAX_METADATA,
    Kind.COMMAND_LINE: MAX_COMMAND_LINE,
}


def _check_sections(kinds: list[Kind], *, version: int) -> None:
    """How many of each, and the kernel first."""
    if len(kinds) > MAX_SECTIONS:
        raise Malformed(f"has {len(kinds)}; {MAX_SECTIONS} are allowed", field="eif.sections")
    with_metadata = 1 if version >= VERSION else 0
    with_signature = 1 if version > OLDEST_VERSION else 0
    for kind, least, most in (
        (Kind.KERNEL, 1, 1),
        (Kind.COMMAND_LINE, 1, 1),
        (Kind.RAMDISK, 1, MAX_SECTIONS),
        (Kind.METADATA, with_metadata, with_metadata),
        (Kind.SIGNATURE, 0, with_signature),
    ):
        found = kinds.count(kind)
        if not least <= found <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise Malformed(
                f"has {found} of kind {kind.name.lower()}, version {version} has {wanted}",
                field="eif.sections",
            )
    if kinds[0] is not Kind.KERNEL:
        raise Malformed(
            f"begins with {kinds[0].name.lower()}, not with the kernel", field="eif.sections"
        )


def layout(eif: Eif) -> tuple[int, ...]:
    """Where each section's header is in the file that `write` makes."""
    steps = (SECTION_HEADER_SIZE + section.size for section in eif.sections[:-1])
    return tuple(accumulate(steps, initial=HEADER_SIZE))


def pieces(eif: Eif) -> Iterable[Piece]:
    """The file from front to back, its CRC included, without joining it."""
    if eif.version != VERSION:
        raise Misuse(f"version {VERSION} is written, not {eif.version}")
    padding = [0] * (MAX_SECTIONS - len(eif.sections))
    head = b"".join(
        (
            MAGIC,
            eif.version.to_bytes(2, "big"),
            eif.flags.to_bytes(2, "big"),
            eif.default_memory.to_bytes(8, "big"),
            eif.default_cpus.to_bytes(8, "big"),
            bytes(2),
            len(eif.sections).to_bytes(2, "big"),
            *(offset.to_bytes(8, "big") for offset in [*layout(eif), *padding]),
            *(size.to_bytes(8, "big") for size in [*(s.size for s in eif.sections), *padding]),
            bytes(4),
        )
    )
    body: list[Piece] = []
    for section in eif.sections:
        body.append(
            section.kind.to_bytes(2, "big") + bytes(2) + section.size.to_bytes(8, "big"),
        )
        body.extend(section.pieces)
    crc = zlib.crc32(head)
    for piece in body:
        crc = zlib.crc32(piece, crc)
    yield head + crc.to_bytes(4, "big")
    yield from body


def write(out: BinaryIO, eif: Eif) -> None:
    """Write the file.

    Raises:
        Misuse: the image is of an older version.
        OSError: as the stream does.
    """
    out.writelines(pieces(eif))


def pack(eif: Eif) -> bytes:
    """The file in memory."""
    return b"".join(pieces(eif))
