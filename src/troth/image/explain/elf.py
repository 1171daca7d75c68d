"""Two ELF files: which section holds the byte that differs, and what they say of their making."""

from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.image.explain.causes import BUILD_ID, COMPILER, PATH, Cause
from troth.image.explain.told import Told
from troth.wire.reader import Reader

MAGIC: Final = b"\x7fELF\x02\x01"
"""Of 64 bits, the low byte first: what images are for."""

_MOST_SECTIONS: Final = 10_000
_NO_BITS: Final = 8
_MOST_TIMES: Final = 2  # as many bytes in sections as the files have: more overlap each other
_GNU_BUILD_ID: Final = 3
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of the file."""

    name: str
    offset: int
    size: int


def explain(a: bytes, b: bytes, at: int) -> Told | None:
    """What is known of the byte at `at`, the first that differs; None where the sections cannot be read."""
    try:
        mine, theirs = sections(a), sections(b)
    except Malformed:
        return None
    if max(sum(s.size for s in found) for found in (mine, theirs)) > _MOST_TIMES * (
        len(a) + len(b)
    ):
        return None
    told = []
    both = [
        (one, other)
        for one, other in zip(mine, theirs, strict=False)
        if one.name == other.name and _data(a, one) != _data(b, other)
    ]
    place = _holder(mine, at)
    told.append(
        f"the first byte that differs is {_where(place, at)}"
        if place
        else "the first byte that differs is in no section: a header, or space between them"
    )
    if [s.name for s in mine] != [s.name for s in theirs]:
        told.append("they do not have the same sections")
    elif both:
        told.append(f"sections that differ: {', '.join(one.name for one, _ in both)}"[:_SHOWN])
    ids = build_id(a, mine), build_id(b, theirs)
    if ids[0] != ids[1]:
        told.append(f"build-id {ids[0] or 'none'} and {ids[1] or 'none'}")
    makers = _comment(a, mine), _comment(b, theirs)
    if makers[0] != makers[1]:
        told.append(f"made by {makers[0] or 'nobody'} and {makers[1] or 'nobody'}")
    return Told(kind="ELF", told=tuple(told), cause=_cause(both, ids, makers, mine, theirs))


def _cause(
    both: list[tuple[Section, Section]],
    ids: tuple[str, str],
    makers: tuple[str, str],
    mine: list[Section],
    theirs: list[Section],
) -> Cause | None:
    if makers[0] != makers[1]:
        return COMPILER
    if ids[0] != ids[1] and [one.name for one, _ in both] == [".note.gnu.build-id"]:
        return BUILD_ID
    # Debug data and the strings of assertions hold paths; code that differs does not come of one alone.
    changed = {one.name for one, _ in both}
    same = [s.name for s in mine] == [s.name for s in theirs]
    if (
        same
        and changed
        and all(n.startswith((".debug", ".note.gnu", ".gnu_debug")) for n in changed)
    ):
        return PATH
    return None


def sections(data: bytes) -> list[Section]:
    """The sections of a file, in its order.

    Raises:
        Malformed: its table leads out of the file.
    """
    table = int.from_bytes(data[0x28:0x30], "little")
    size, count, names = (int.from_bytes(data[n : n + 2], "little") for n in (0x3A, 0x3C, 0x3E))
    if not table or size != 64 or not 0 < count <= _MOST_SECTIONS or names >= count:
        raise Malformed("has no table of sections", field="elf")
    reader = Reader(data, at=table)
    rows = [reader.take(size, "section") for _ in range(count)]
    numbers = [
        (
            int.from_bytes(row[0:4], "little"),
            int.from_bytes(row[4:8], "little"),
            int.from_bytes(row[0x18:0x20], "little"),
            int.from_bytes(row[0x20:0x28], "little"),
        )
        for row in rows
    ]
    _, _, begin, length = numbers[names]
    texts = data[begin : begin + length]
    return [
        Section(
            name=texts[name : name + 256].partition(b"\0")[0].decode("ascii", "replace"),
            offset=offset,
            size=0 if kind == _NO_BITS else length,
        )
        for name, kind, offset, length in numbers
    ]


def build_id(data: bytes, found: list[Section]) -> str:
    """The linker's, in hex, or nothing."""
    for section in found:
        if section.name == ".note.gnu.build-id":
            note = _data(data, section)
            lengths = [int.from_bytes(note[n : n + 4], "little") for n in (0, 4, 8)]
            if lengths[0] == 4 and lengths[2] == _GNU_BUILD_ID and note[12:16] == b"GNU\0":
                return note[16 : 16 + min(lengths[1], 64)].hex()
    return ""


def _comment(data: bytes, found: list[Section]) -> str:
    """What compilers say of themselves."""
    for section in found:
        if section.name == ".comment":
            parts = _data(data, section)[:4096].split(b"\0")
            words = [part.decode("utf-8", "replace") for part in parts if part]
            return ", ".join(dict.fromkeys(words))[:_SHOWN]
    return ""


def _data(data: bytes, section: Section) -> bytes:
    return data[section.offset : section.offset + section.size]


def _holder(found: list[Section], at: int) -> Section | None:
    return next((s for s in found if s.size and s.offset <= at < s.offset + s.size), None)


def _where(section: Section, at: int) -> str:
    return f"in {section.name or 'a section with no name'}, {at - section.offset} bytes in"
