"""Tiles (c2sp.org/tlog-tiles): where a log's digests and entries lie, as plain files.

A tile of level 0 has the digests of 256 entries, one of level 1 those of 256 whole tiles below it, and so on. A
tile that is not full yet has its width in its name, so that a file's content never changes once a checkpoint
covers it. The entries themselves lie in bundles of 256, each behind its length in two bytes.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from troth.crypto import merkle
from troth.errors import Malformed, Misuse
from troth.tlog import note

WIDTH: Final = 256
CHECKPOINT: Final = "checkpoint"
HISTORY: Final = "checkpoints"
"""Where troth keeps every checkpoint that it published; the format has no such folder."""
MOST_ENTRY: Final = 65535
MOST_BUNDLE: Final = WIDTH * (2 + MOST_ENTRY)

_NUMBER: Final = r"(?:0|[1-9][0-9]{0,18})"
_FILE: Final = re.compile(
    rf"(?:(?P<note>checkpoint|checkpoints/{_NUMBER})"
    r"|tile/(?:entries|(?P<level>[0-9]|[1-5][0-9]|6[0-3]))/(?:x[0-9]{3}/){0,6}[0-9]{3}"
    r"(?:\.p/(?:[1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?)"
)


def tile(level: int, index: int, width: int = WIDTH) -> str:
    """The path of a tile of digests.

    Args:
        level: 0 for the entries' own.
        index: of the tile in its level.
        width: digests in it, 1 to 256.
    """
    return f"tile/{level}/{_path(index, width)}"


def bundle(index: int, width: int = WIDTH) -> str:
    """The path of a bundle of entries."""
    return f"tile/entries/{_path(index, width)}"


def _path(index: int, width: int) -> str:
    if index < 0 or not 1 <= width <= WIDTH:
        raise Misuse(f"no tile is {width} wide at {index}")
    name = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        name = f"x{index % 1000:03}/{name}"
    return name if width == WIDTH else f"{name}.p/{width}"


def most(path: str) -> int:
    """How many bytes a file of a log may have, by its path.

    Raises:
        Misuse: no log has such a file.
    """
    match = _FILE.fullmatch(path)
    if match is None:
        raise Misuse(f"{path[:80]!r} is no file of a log")
    if match["note"]:
        return note.MOST_BYTES
    return MOST_BUNDLE if match["level"] is None else WIDTH * merkle.SIZE


def widths(size: int) -> Iterator[tuple[int, int, int]]:
    """Each level's number of digests in a log of this size: the level, its full tiles, the rest's width."""
    level = 0
    while True:
        full, rest = divmod(size, WIDTH)
        yield level, full, rest
        if not full:
            return
        size, level = full, level + 1


def split(data: bytes, width: int, *, field: str) -> tuple[bytes, ...]:
    """The digests of a tile.

    Raises:
        Malformed: it is of another length.
    """
    if len(data) != width * merkle.SIZE:
        raise Malformed(
            f"the tile has {len(data)} bytes, should have {width * merkle.SIZE}", field=field
        )
    return tuple(data[at : at + merkle.SIZE] for at in range(0, len(data), merkle.SIZE))


def pack(entries: Sequence[bytes]) -> bytes:
    """A bundle of entries.

    Raises:
        Misuse: an entry is too long.
    """
    for entry in entries:
        fits(entry)
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def fits(entry: bytes) -> None:
    """Asks whether an entry is short enough.

    Raises:
        Misuse: it is not.
    """
    if len(entry) > MOST_ENTRY:
        raise Misuse(f"an entry has {len(entry)} bytes, at most {MOST_ENTRY} fit")


def unpack(data: bytes, width: int, *, field: str) -> tuple[bytes, ...]:
    """The entries of a bundle.

    Raises:
        Malformed: it has fewer or more of them, or ends inside one.
    """
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < width:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise Malformed("the bundle ends inside an entry", field=field, offset=at)
        found.append(data[at + 2 : end])
        at = end
    if len(found) != width or at != len(data):
        raise Malformed(f"the bundle should have {width} entries and nothing else", field=field)
    return tuple(found)
