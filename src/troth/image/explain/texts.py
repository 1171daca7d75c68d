"""Two texts, or two pieces of text in other bytes: what the place where they differ looks like."""

import re
from typing import Final

from troth.image.explain.causes import (
    CHANCE,
    LINE_ENDS,
    ORDER,
    PACKAGE,
    PATH,
    REPACKED,
    TIME,
    Cause,
)
from troth.image.explain.told import Told

_AROUND: Final = 200
_MOST_LINES: Final = 1 << 20  # that are sorted: each is an object then
_STRING: Final = re.compile(rb"[\x20-\x7e]{4,}")
_MONTH: Final = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME: Final = re.compile(
    rb"\b(?:19[7-9]|20[0-9])\d[-/.]?(?:0[1-9]|1[0-2])[-/.]?(?:0[1-9]|[12]\d|3[01])|\b1[0-9]{9}\b|"
    + _MONTH
    + rb" +\d{1,2}|\b\d\d:\d\d:\d\d\b"
)
_PATH: Final = re.compile(
    rb"/(?:home|tmp|build|root|usr/src|var/tmp|private|Users|workspace|src|mnt|opt)/[!-~]*"
)
_CHANCE: Final = re.compile(
    rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b[0-9a-fA-F]{32,}\b"
)
_LOOKS: Final = ((_PATH, PATH), (_TIME, TIME), (_CHANCE, CHANCE))


def named(path: str) -> Cause | None:
    """What the name of a file says of why it differs."""
    folder, _, name = path.rpartition("/")
    if folder.endswith(".dist-info"):
        return REPACKED if name == "RECORD" else PACKAGE if name in ("METADATA", "WHEEL") else None
    return None


def explain(a: bytes, b: bytes, at: int) -> Told | None:
    """What two texts have that is not the same; of other bytes the printable text around the place."""
    if a.replace(b"\r\n", b"\n") == b.replace(b"\r\n", b"\n"):
        return Told(told=("only their line ends differ",), cause=LINE_ENDS)
    if b"\0" not in a and b"\0" not in b and max(_lines(a), _lines(b)) <= _MOST_LINES:
        lines = [sorted(x.splitlines()) for x in (a, b)]
        if lines[0] == lines[1]:
            return Told(told=("the same lines in another order",), cause=ORDER)
    pieces = [_piece(x, at) for x in (a, b)]
    for pattern, cause in _LOOKS:
        found = [pattern.findall(piece) for piece in pieces]
        if found[0] != found[1] and any(found) and _alike(pattern, pieces, cause):
            words = [x[0].decode("ascii")[:120] if x else "none" for x in found]
            return Told(told=(f"there stands {words[0]} and {words[1]}",), cause=cause)
    return None


def _lines(data: bytes) -> int:
    return data.count(b"\n") + data.count(b"\r")


def _alike(pattern: "re.Pattern[bytes]", pieces: list[bytes], cause: Cause) -> bool:
    """Whether all that differs there is what the pattern finds; a path alone may stand in one of the two."""
    if cause is PATH:
        return True
    bare = [pattern.sub(b"?", piece) for piece in pieces]
    return bare[0] == bare[1]


def _piece(data: bytes, at: int) -> bytes:
    """The line, or the printable bytes, that hold a place."""
    begin = max(at - _AROUND, 0)
    part = data[begin : at + _AROUND]
    for match in _STRING.finditer(part):
        if match.start() <= at - begin <= match.end():
            return match[0]
    return b""
