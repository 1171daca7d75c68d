"""The right edge of a log's tree, and the files that it grows by."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from troth.crypto import merkle
from troth.crypto.merkle import Frontier
from troth.tlog import tiles
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.disk import Disk, Together
from troth.tlog.read import Reader
from troth.tlog.tiles import WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Where a log goes on.

    Attributes:
        size: entries so far.
        edge: of each level the digests of its last tile, fewer than 256.
        entries: those of the last bundle, fewer than 256.
    """

    size: int = 0
    edge: tuple[tuple[bytes, ...], ...] = ((),)
    entries: tuple[bytes, ...] = ()

    @classmethod
    def at(cls, reader: Reader, checkpoint: Checkpoint) -> Self:
        """From a log's files, which must lead to this checkpoint's root.

        Raises:
            Malformed: they do not.
            Unavailable: one is absent.
        """
        size = checkpoint.size
        return cls(
            size=size,
            edge=tuple(tuple(level) for level in reader.edge(checkpoint)),
            entries=tuple(reader.entries(size - size % WIDTH, size, checkpoint)),
        )

    def root(self) -> bytes:
        """The root of the tree."""
        peaks: list[bytes] = []
        for digests in reversed(self.edge):
            peaks += Frontier.of(digests).peaks
        return Frontier(self.size, peaks).root()

    def grown(self, entries: Sequence[bytes], files: Together) -> Self:
        """Writes the files that these entries make, durably, and says where the log goes on then.

        Only new files are written: what an earlier checkpoint speaks of is never touched.

        Raises:
            OSError: the disk fails.
        """
        edge = [list(level) for level in self.edge]
        changed: set[int] = set()
        last = list(self.entries)
        size = self.size
        for entry in entries:
            last.append(entry)
            size += 1
            _push(edge, merkle.leaf(entry), size, files, changed)
            if len(last) == WIDTH:
                files.write(tiles.bundle(size // WIDTH - 1), tiles.pack(last))
                last.clear()
        if last:
            files.write(tiles.bundle(size // WIDTH, len(last)), tiles.pack(last))
        for level in changed:
            digests = edge[level]
            if digests:
                index = size >> 8 * (level + 1)
                files.write(tiles.tile(level, index, len(digests)), b"".join(digests))
        files.settle()
        return type(self)(
            size=size, edge=tuple(tuple(level) for level in edge), entries=tuple(last)
        )

    def forget(self, before: int, size: int, folder: Path, disk: Disk) -> None:
        """Removes the parts of tiles that are full by now, as the format allows.

        Args:
            before: the size up to which that was done.
            size: of the newest checkpoint that is published.
            folder: the log's.
            disk: to remove from.
        """
        for level, full, _ in tiles.widths(size):
            start = before >> 8 * (level + 1)
            for index in range(start, full):
                names = [tiles.tile(level, index)] + ([tiles.bundle(index)] if not level else [])
                for name in names:
                    parts = folder / f"{name}.p"
                    # What can't be removed does no harm.
                    with contextlib.suppress(OSError):
                        for part in list(parts.iterdir()):
                            disk.remove(part)
                        disk.remove_folder(parts)


def _push(
    edge: list[list[bytes]], digest: bytes, size: int, files: Together, changed: set[int]
) -> None:
    """Adds a digest to the first level, and the root of every tile that is full to the level above."""
    level = 0
    while True:
        if level == len(edge):
            edge.append([])
        edge[level].append(digest)
        changed.add(level)
        if len(edge[level]) < WIDTH:
            return
        digests = edge[level]
        files.write(tiles.tile(level, (size >> 8 * (level + 1)) - 1), b"".join(digests))
        digest = Frontier.of(digests).root()
        digests.clear()
        level += 1
