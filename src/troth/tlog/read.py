"""Reading a log by its tiles. Nothing is given out that was not checked up to the root of a checkpoint."""

import contextlib
import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from troth.crypto import merkle
from troth.crypto.merkle import Frontier
from troth.errors import Malformed, Misuse, Unavailable
from troth.tlog import tiles
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.tiles import WIDTH

Fetch = Callable[[str], bytes]
"""Gives a log's file by its path. Raises `Unavailable` where there is none, and is bounded by `tiles.most`."""

_KEPT: Final = 256  # tiles of one tree that are remembered: 2 MiB of digests
_HEIGHT: Final = 8


class Reader:
    """A log, as its files are served.

    The methods take a checkpoint that somebody opened: that its log signed it, and who else did, is not
    asked here. What a log serves is checked against that checkpoint's root before it is given out.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._tree: _Tree | None = None

    def checkpoint(self) -> bytes:
        """The newest checkpoint, as it is served. Nothing says that it is genuine, or new."""
        return self._fetch(tiles.CHECKPOINT)

    def published(self, size: int) -> bytes:
        """The checkpoint that was published for this size, if troth keeps the log. Nothing says that it is genuine."""
        return self._fetch(f"{tiles.HISTORY}/{size}")

    def entries(self, start: int, end: int, checkpoint: Checkpoint) -> Iterator[bytes]:
        """The entries from `start` up to, but without, `end`.

        Raises:
            Misuse: the log has no such entries.
            Malformed: what is served is not the log that the checkpoint speaks of.
            Unavailable: a file is not served.
        """
        if not 0 <= start <= end <= checkpoint.size:
            raise Misuse(f"a log of {checkpoint.size} has no entries {start} to {end}")
        return self._at(checkpoint).entries(start, end)

    def entry(self, index: int, checkpoint: Checkpoint) -> bytes:
        """One entry. Raises as `entries` does."""
        return next(self.entries(index, index + 1, checkpoint))

    def inclusion(self, index: int, checkpoint: Checkpoint) -> tuple[bytes, ...]:
        """A proof that an entry is in the log, for `merkle.included`. Raises as `entries` does."""
        if not 0 <= index < checkpoint.size:
            raise Misuse(f"a log of {checkpoint.size} has no entry {index}")
        tree = self._at(checkpoint)
        return tuple(tree.root(*part) for part in merkle.path(index, checkpoint.size))

    def consistency(self, old_size: int, checkpoint: Checkpoint) -> tuple[bytes, ...]:
        """A proof that the log begins with an earlier one, for `merkle.consistent`. Raises as `entries` does."""
        if not 0 <= old_size <= checkpoint.size:
            raise Misuse(f"a log of {checkpoint.size} has no beginning of {old_size}")
        tree = self._at(checkpoint)
        return tuple(tree.root(*part) for part in merkle.growth(old_size, checkpoint.size))

    def root(self, size: int, checkpoint: Checkpoint) -> bytes:
        """The root that the log had when it had `size` entries. Raises as `entries` does."""
        if not 0 <= size <= checkpoint.size:
            raise Misuse(f"a log of {checkpoint.size} has no beginning of {size}")
        return self._at(checkpoint).root(0, size) if size else merkle.EMPTY

    def frontier(self, checkpoint: Checkpoint) -> Frontier:
        """The tree, ready to grow. Raises as `entries` does."""
        return Frontier(checkpoint.size, self._at(checkpoint).peaks)

    def edge(self, checkpoint: Checkpoint) -> list[list[bytes]]:
        """For each level the digests of its last tile, if that is not full. Raises as `entries` does."""
        return [list(digests) for digests in self._at(checkpoint).edge]

    def _at(self, checkpoint: Checkpoint) -> "_Tree":
        """The tree of a checkpoint, with the tiles of it that were checked."""
        tree = self._tree
        if tree is None or (tree.size, tree.digest) != (checkpoint.size, checkpoint.root):
            tree = self._tree = _Tree(self._fetch, checkpoint)
        return tree


class _Tree:
    """One tree, and its tiles that lead to its root.

    The last tiles of all levels make up the root together, so they are checked first and at once. Every
    other tile is full, and its root is a digest of the tile above.
    """

    def __init__(self, fetch: Fetch, checkpoint: Checkpoint) -> None:
        self._fetch = fetch
        self._kept: OrderedDict[tuple[int, int], tuple[bytes, ...]] = OrderedDict()
        self.size = checkpoint.size
        self.digest = checkpoint.root
        self.edge: list[tuple[bytes, ...]] = []
        self.peaks: list[bytes] = []
        for level, full, width in tiles.widths(self.size):
            self.edge.append(self._digests(level, full, width) if width else ())
        for digests in reversed(self.edge):
            self.peaks += Frontier.of(digests).peaks
        if Frontier(self.size, self.peaks).root() != self.digest:
            raise Malformed("the tiles do not lead to the checkpoint's root", field="tile")

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Entries, each of which has the digest that the tree has."""
        for index in range(start // WIDTH, -(-end // WIDTH)):
            first = index * WIDTH
            digests = self.tile(0, index)
            path = tiles.bundle(index, len(digests))
            found = tiles.unpack(*self._file(path, tiles.bundle(index), len(digests)), field=path)
            for place, (entry, digest) in enumerate(zip(found, digests, strict=False), first):
                if merkle.leaf(entry) != digest:
                    raise Malformed(f"entry {place} is not the one that the log has", field=path)
            yield from found[max(start - first, 0) : min(end - first, len(digests))]

    def root(self, start: int, end: int) -> bytes:
        """The root of a part of the tree."""
        parts = [self._node(height, index) for height, index in merkle.perfect(start, end)]
        return Frontier(end - start, parts).root()

    def tile(self, level: int, index: int) -> tuple[bytes, ...]:
        """The digests of one tile that leads to the root."""
        if index == self.size >> _HEIGHT * (level + 1):
            return self.edge[level]
        known = self._kept.get((level, index))
        if known is None:
            known = self._digests(level, index, WIDTH)
            above = self.tile(level + 1, index // WIDTH)
            if Frontier.of(known).root() != above[index % WIDTH]:
                raise Malformed(
                    "the tile does not lead to the checkpoint's root",
                    field=tiles.tile(level, index),
                )
            self._kept[level, index] = known
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end((level, index))
        return known

    def _node(self, height: int, index: int) -> bytes:
        level, rest = divmod(height, _HEIGHT)
        tile, place = divmod(index << rest, WIDTH)
        return Frontier.of(self.tile(level, tile)[place : place + (1 << rest)]).root()

    def _digests(self, level: int, index: int, width: int) -> tuple[bytes, ...]:
        path = tiles.tile(level, index, width)
        data, wide = self._file(path, tiles.tile(level, index), width)
        return tiles.split(data, wide, field=path)[:width]

    def _file(self, path: str, full: str, width: int) -> tuple[bytes, int]:
        """A file and how wide it is: a log may drop a part of a tile once the whole is there."""
        try:
            return self._fetch(path), width
        except Unavailable:
            if path == full:
                raise
            try:
                return self._fetch(full), WIDTH
            except Unavailable:
                pass
            raise


def from_folder(folder: Path) -> Reader:
    """Reads a log that lies in a folder; as `files` does."""
    return Reader(files(folder))


def history(folder: Path) -> tuple[int, ...]:
    """The sizes of all checkpoints that a log in a folder published, the smallest first.

    Raises:
        Unavailable: the folder can't be read.
    """
    try:
        names = [path.name for path in (folder / tiles.HISTORY).iterdir()]
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(f"the checkpoints of the log in {folder}: {why}") from error
    return tuple(sorted(int(name) for name in names if name.isdecimal() and name.isascii()))


def files(folder: Path) -> Fetch:
    """Gives a log's files out of a folder, and nothing that lies elsewhere or is no plain file.

    What it gives raises `Misuse` for a path that no log has, `Malformed` for a link, a pipe, and a file that
    is too large, `Unavailable` where there is none.
    """

    def fetch(path: str) -> bytes:
        limit = tiles.most(path)
        with contextlib.ExitStack() as stack:
            try:
                handle = _opened(folder, path, stack)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise Malformed("a log has folders and plain files only", field=path) from None
                why = (error.strerror or str(error)).lower()
                raise Unavailable(f"{path} of the log in {folder}: {why}") from error
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Malformed("is no plain file", field=path)
            with open(handle, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        if len(data) > limit:
            raise Malformed(f"has more than {limit} bytes", field=path)
        return data

    return fetch


def _opened(folder: Path, path: str, stack: contextlib.ExitStack) -> int:
    """A file by each of its folders in turn, none of them a link: not even one that comes meanwhile."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    handle = os.open(folder, flags | os.O_DIRECTORY)
    stack.callback(os.close, handle)
    *above, name = path.split("/")
    for part in above:
        handle = os.open(part, flags | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
        stack.callback(os.close, handle)
    # A pipe would be waited for.
    handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    stack.callback(os.close, handle)
    return handle
