"""Two images side by side: which section, which file, which bytes. Sections that are the same cost one pass."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from stat import S_IFMT, S_ISBLK, S_ISCHR, S_ISLNK, S_ISREG, filemode
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.wire import cpio, eif, eif_signature, json, ramdisk
from troth.wire.eif import Eif, Kind, Piece, Section

MOST: Final = 200
"""Differences that are told; the rest is counted."""
MEASURED: Final = frozenset({Kind.KERNEL, Kind.COMMAND_LINE, Kind.RAMDISK})

_MOST_IN_WORDS: Final = 20
_DEVICES: Final = frozenset({"dev/console", "dev/null"})
_CHUNK: Final = 1 << 16
_ROW: Final = 16
_ROWS: Final = 2
_LONGEST_TEXT: Final = 1 << 20
_LONGEST_LINE: Final = 200
_LONGEST_VALUE: Final = 1000
_BEFORE: Final = 40
_PLAIN: Final = "order and numbers are as troth packs them"
_OWN: Final = "order or numbers are its own, and are not compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same in both; what it quotes is as hostile as the images.

    Attributes:
        section: such as `kernel` or `ramdisk 1`; `header` for what stands before them.
        path: of a file, `/etc/hosts`, or of a value in JSON, `BuildMetadata.BuildTime`; empty for the
            whole section.
        what: `content`, `mode`, `target`, `device`, `owner`, `time`, `value`, `text`, `order`, `layout`,
            `compression`, or `only` where one of the two lacks it.
        first, second: what each has, in words; None in the one that lacks it.
        offset: of content, the first byte that differs.
        bytes: of content, 32 bytes of each from the row of 16 that holds that byte.
        line: of text, the number of the line that holds it, from 1, and that line of each.
        data: of content, all of both, for whoever explains it.
    """

    section: str
    path: str = ""
    what: str
    first: str | None
    second: str | None
    offset: int | None = None
    bytes: tuple[bytes, bytes] | None = None
    line: tuple[int, str, str] | None = None
    data: tuple[Piece, Piece] | None = field(default=None, repr=False, compare=False)

    def words(self) -> str:
        """In one line."""
        where = f"{self.section}: {self.path}" if self.path else self.section
        if self.first is None or self.second is None:
            return f"{where}: only in the {'second' if self.first is None else 'first'}"
        if self.offset is not None:
            return f"{where}: differs from byte {self.offset} on ({self.first} and {self.second})"
        return f"{where}: {self.what}: {self.first} and {self.second}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of it.

    Attributes:
        differences: the first of them, in the order of the file.
        left_out: how many more there are.
    """

    differences: tuple[Difference, ...]
    left_out: int


def differences(
    first: Path, second: Path, *, words: Callable[[Difference], str] = Difference.words
) -> tuple[str, ...]:
    """What differs, in words; empty if the files are the same bytes.

    Args:
        first: an image.
        second: another one.
        words: how one difference is told.
    """
    one, other = first.read_bytes(), second.read_bytes()
    if one == other:
        return ()
    found = compare(eif.read(one), eif.read(other), most=_MOST_IN_WORDS).differences
    return tuple(words(difference) for difference in found)


def compare(one: Eif, other: Eif, *, most: int = MOST) -> Comparison:
    """Section by section; inside ramdisks file by file, inside metadata value by value.

    Args:
        one: an image.
        other: another one.
        most: differences that are told.
    """
    found = _all(one, other)
    told = tuple(islice(found, most))
    return Comparison(differences=told, left_out=sum(1 for _ in found))


def same(one: Section | None, other: Section | None) -> bool:
    """Whether two sections have the same data, or neither is there."""
    if one is None or other is None:
        return one is other
    return first_difference(one.data, other.data) is None


def _all(one: Eif, other: Eif) -> Iterator[Difference]:
    yield from _header(one, other)
    mine, theirs = _by_name(one), _by_name(other)
    for name in (*mine, *(name for name in theirs if name not in mine)):
        left, right = mine.get(name), theirs.get(name)
        if left is None or right is None:
            yield Difference(section=name, what="only", first=_size(left), second=_size(right))
        elif not same(left, right):
            yield from _READERS.get(left.kind, _content)(name, left, right)
    both = [name for name in mine if name in theirs]
    if both != (order := [name for name in theirs if name in mine]):
        yield Difference(
            section="header", what="order", first=", ".join(both), second=", ".join(order)
        )


def _header(one: Eif, other: Eif) -> Iterator[Difference]:
    for name, a, b in (
        ("version", one.version, other.version),
        ("architecture", one.architecture, other.architecture),
        ("default_mem", one.default_memory, other.default_memory),
        ("default_cpus", one.default_cpus, other.default_cpus),
    ):
        if a != b:
            yield Difference(section="header", path=name, what="value", first=str(a), second=str(b))


def _by_name(image: Eif) -> dict[str, Section]:
    found: dict[str, Section] = {}
    disks = 0
    for section in image.sections:
        name = section.kind.name.lower()
        if section.kind is Kind.RAMDISK:
            name = f"ramdisk {disks}"
            disks += 1
        found[name] = section
    return found


def _size(section: Section | None) -> str | None:
    return None if section is None else f"{section.size} bytes"


def _content(name: str, left: Section, right: Section) -> Iterator[Difference]:
    yield _bytes(name, "", left.data, right.data)


def _line(name: str, left: Section, right: Section) -> Iterator[Difference]:
    first, second = _cut(*(bytes(s.data).decode("utf-8", "replace") for s in (left, right)))
    at = first_difference(left.data, right.data)
    yield Difference(section=name, what="text", first=first, second=second, offset=at)


def _files(name: str, left: Section, right: Section) -> Iterator[Difference]:
    try:
        mine, theirs = (
            {e.path: e for e in ramdisk.read(s.data, devices=_DEVICES, base=s.offset)}
            for s in (left, right)
        )
    except Malformed:
        yield from _content(name, left, right)
        return
    some = False
    for path in sorted({*mine, *theirs}):
        for difference in _entries(name, path, mine.get(path), theirs.get(path)):
            some = True
            yield difference
    archives = [ramdisk.plain(s.data) for s in (left, right)]
    if some:
        packed = [memoryview(b"".join(cpio.pack(each.values()))) for each in (mine, theirs)]
        if archives == packed:
            return
    stamps = [cpio.stamps(archive) for archive in archives]
    rest = [
        cpio.unstamped(*each) for each in zip(archives, (s.values() for s in stamps), strict=True)
    ]
    told = False
    for difference in _stamps(name, *stamps):
        told = True
        yield difference
    if not some and not (told and rest[0] == rest[1]):
        found = _bytes(name, "", left.data, right.data)
        what = "compression" if archives[0] == archives[1] else "layout"
        yield replace(found, what=what, data=None)
    elif some and rest != packed:
        layouts = [_PLAIN if r == p else _OWN for r, p in zip(rest, packed, strict=True)]
        yield Difference(section=name, what="layout", first=layouts[0], second=layouts[1])


def _stamps(
    name: str, mine: dict[str, cpio.Stamp], theirs: dict[str, cpio.Stamp]
) -> Iterator[Difference]:
    for path in sorted(mine.keys() & theirs.keys()):
        a, b = mine[path], theirs[path]
        for what, first, second in (
            ("owner", _owner(a), _owner(b)),
            ("time", instant(a.time), instant(b.time)),
        ):
            if first != second:
                yield Difference(
                    section=name, path=f"/{path}", what=what, first=first, second=second
                )


def _owner(stamp: cpio.Stamp) -> str:
    return f"{stamp.owner[0]}:{stamp.owner[1]}"


def instant(seconds: int) -> str:
    """A time of a file, in words."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z" if seconds else "none"


def _entries(
    name: str, path: str, a: cpio.Entry | None, b: cpio.Entry | None
) -> Iterator[Difference]:
    path = f"/{path}"
    if a is None or b is None:
        yield Difference(section=name, path=path, what="only", first=_entry(a), second=_entry(b))
        return
    if a.mode != b.mode:
        modes = filemode(a.mode), filemode(b.mode)
        yield Difference(section=name, path=path, what="mode", first=modes[0], second=modes[1])
    if a.device != b.device:
        numbers = (f"{x.device[0]}:{x.device[1]}" for x in (a, b))
        yield Difference(
            section=name, path=path, what="device", first=next(numbers), second=next(numbers)
        )
    if S_IFMT(a.mode) != S_IFMT(b.mode) or first_difference(a.data, b.data) is None:
        return
    if S_ISLNK(a.mode):
        targets = [bytes(x.data).decode("utf-8", "replace") for x in (a, b)]
        yield Difference(
            section=name, path=path, what="target", first=targets[0], second=targets[1]
        )
    else:
        yield _bytes(name, path, a.data, b.data)


def _entry(entry: cpio.Entry | None) -> str | None:
    if entry is None:
        return None
    if S_ISLNK(entry.mode):
        return f"{filemode(entry.mode)}, to {bytes(entry.data).decode('utf-8', 'replace')}"
    if S_ISREG(entry.mode):
        return f"{filemode(entry.mode)}, {len(entry.data)} bytes"
    if S_ISCHR(entry.mode) or S_ISBLK(entry.mode):
        return f"{filemode(entry.mode)}, {entry.device[0]}:{entry.device[1]}"
    return filemode(entry.mode)


def content(name: str, path: str, a: Piece, b: Piece) -> Difference | None:
    """Where two contents differ, or None; arguments as for `values`."""
    return None if first_difference(a, b) is None else _bytes(name, path, a, b)


def _bytes(name: str, path: str, a: Piece, b: Piece) -> Difference:
    at = first_difference(a, b)
    assert at is not None  # noqa: S101 - the caller saw that they differ
    begin = at - at % _ROW
    rows = tuple(bytes(data[begin : begin + _ROW * _ROWS]) for data in (a, b))
    return Difference(
        section=name,
        path=path,
        what="content",
        first=f"{len(a)} bytes",
        second=f"{len(b)} bytes",
        offset=at,
        bytes=(rows[0], rows[1]),
        line=_text_line(a, b, at) if path else None,
        data=(a, b),
    )


def _text_line(a: Piece, b: Piece, at: int) -> tuple[int, str, str] | None:
    """The line that holds a byte, where both are text."""
    if max(len(a), len(b)) > _LONGEST_TEXT:
        return None
    one, other = bytes(a), bytes(b)
    try:
        if "\0" in one.decode("utf-8") or "\0" in other.decode("utf-8"):
            return None
    except UnicodeDecodeError:
        return None
    begin = one.rfind(b"\n", 0, at) + 1
    lines = [x[begin:].partition(b"\n")[0].decode("utf-8")[:_LONGEST_LINE] for x in (one, other)]
    return one.count(b"\n", 0, at) + 1, lines[0], lines[1]


def first_difference(a: Piece, b: Piece) -> int | None:
    """The first byte that differs, or None if there is none."""
    shorter = min(len(a), len(b))
    for begin in range(0, shorter, _CHUNK):
        one, other = bytes(a[begin : begin + _CHUNK]), bytes(b[begin : begin + _CHUNK])
        if one != other:
            pairs = zip(one, other, strict=False)
            within = next((i for i, (x, y) in enumerate(pairs) if x != y), None)
            return shorter if within is None else begin + within
    return None if len(a) == len(b) else shorter


def _metadata(name: str, left: Section, right: Section) -> Iterator[Difference]:
    try:
        one, other = (json.parse(bytes(s.data), field=name) for s in (left, right))
        found = list(values(name, "", one, other))
    except (Malformed, RecursionError):  # what is nested deeply is told of as bytes
        found = []
    yield from found or _content(name, left, right)


def _signature(name: str, left: Section, right: Section) -> Iterator[Difference]:
    try:
        one, other = (eif_signature.read(bytes(s.data), base=s.offset) for s in (left, right))
    except Malformed:
        yield from _content(name, left, right)
        return
    found = list(values(name, "", _said(one), _said(other)))
    yield from found or _content(name, left, right)


def _said(signature: eif_signature.Signature) -> dict[str, str]:
    return {
        "algorithm": eif_signature.ALGORITHMS[signature.sign1.alg][0],
        "certificate_sha256": hashlib.sha256(signature.certificate).hexdigest(),
        "pcr0": signature.value.hex(),
    }


def values(name: str, path: str, a: Any, b: Any) -> Iterator[Difference]:
    """Values of JSON that differ, by their paths.

    Args:
        name: of the section.
        path: of both values in it.
        a: a value.
        b: another one.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        for key in (*a, *(key for key in b if key not in a)):
            below = f"{path}.{key}" if path else key
            if key not in a or key not in b:
                sides = (_value(x[key])[:_LONGEST_VALUE] if key in x else None for x in (a, b))
                yield Difference(
                    section=name, path=below, what="only", first=next(sides), second=next(sides)
                )
            else:
                yield from values(name, below, a[key], b[key])
    elif type(a) is not type(b) or a != b:
        first, second = _cut(_value(a), _value(b))
        yield Difference(section=name, path=path, what="value", first=first, second=second)


def _value(value: Any) -> str:
    try:
        return json.canonical(value).decode("utf-8")
    except Misuse:  # half a surrogate pair
        return ascii(value)


def _cut(first: str, second: str) -> tuple[str, str]:
    """Two texts, if they are long from shortly before where they differ."""
    if max(len(first), len(second)) <= _LONGEST_VALUE:
        return first, second
    at = first_difference(first.encode("utf-32-be"), second.encode("utf-32-be")) or 0
    begin = max(at // 4 - _BEFORE, 0)
    one, other = (text[begin : begin + _LONGEST_VALUE] for text in (first, second))
    return (f"…{one}", f"…{other}") if begin else (one, other)


_READERS: Final = {
    Kind.COMMAND_LINE: _line,
    Kind.METADATA: _metadata,
    Kind.RAMDISK: _files,
    Kind.SIGNATURE: _signature,
}
