"""Merkle trees of RFC 6962 (and RFC 9162, section 2.1): roots, inclusion and consistency, on SHA-256.

Pure functions on digests. A proof that fails is an answer here, as with signatures: the caller makes it an
error or a check.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self

SIZE: Final = 32
"""Bytes of a digest."""
MOST_LEAVES: Final = 1 << 62
EMPTY: Final = hashlib.sha256().digest()
"""The root of a tree without leaves."""


def leaf(data: bytes) -> bytes:
    """The digest of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The digest of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows, by the roots of its perfect subtrees: at most 62 digests for any size.

    Attributes:
        size: leaves so far.
        peaks: the roots of its perfect subtrees, the largest first.
    """

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    @classmethod
    def of(cls, digests: Iterable[bytes]) -> Self:
        """A tree of these leaves, by their digests."""
        frontier = cls()
        for digest in digests:
            frontier.append(digest)
        return frontier

    def append(self, digest: bytes) -> None:
        """Adds one leaf by its digest."""
        size = self.size
        while size & 1:
            digest = node(self.peaks.pop(), digest)
            size >>= 1
        self.peaks.append(digest)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it is."""
        if not self.peaks:
            return EMPTY
        digest = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            digest = node(peak, digest)
        return digest


def root(digests: Iterable[bytes]) -> bytes:
    """The root of a tree of these leaves, by their digests."""
    return Frontier.of(digests).root()


def path(index: int, size: int) -> list[tuple[int, int]]:
    """Which parts of a tree prove that an entry is in it (RFC 6962, 2.1.1).

    Args:
        index: of the entry, from 0.
        size: leaves of the tree.

    Returns:
        Leaves from, and up to but without, of each part whose root the proof has; in the proof's order.
    """
    start, end, parts = 0, size, list[tuple[int, int]]()
    while end - start > 1:
        middle = start + _half(end - start)
        if index < middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((start, middle))
            start = middle
    return parts[::-1]


def growth(old_size: int, size: int) -> list[tuple[int, int]]:
    """Which parts of a tree prove that it begins with an earlier one (RFC 6962, 2.1.2).

    Args:
        old_size: leaves of the earlier tree.
        size: leaves of the later one.

    Returns:
        As `path` does; nothing where nothing needs to be proved.
    """
    if old_size in (0, size):
        return []
    start, end, parts = 0, size, list[tuple[int, int]]()
    while old_size != end:
        middle = start + _half(end - start)
        if old_size <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((start, middle))
            start = middle
    # The earlier root itself is known to who asks, and is no part of the proof.
    return [*([(start, end)] if start else []), *parts[::-1]]


def perfect(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The perfect trees that a part of a tree is made of: the height of each, and its index at that height."""
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        yield height, start >> height
        start += 1 << height


def _half(size: int) -> int:
    """The largest power of two below it."""
    return 1 << (size - 1).bit_length() - 1


def included(digest: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> str:
    """Checks that a leaf is in a tree (RFC 9162, 2.1.3.2).

    Args:
        digest: of the leaf.
        index: its place, from 0.
        size: leaves of the tree.
        proof: digests of the siblings on the way up, the leaf's first.
        root: of the tree.

    Returns:
        An empty string if it is, else what is wrong, in words.
    """
    if not 0 <= index < size <= MOST_LEAVES:
        return f"a tree of {size} has no entry {index}"
    if not _digests(proof, digest, root):
        return "a digest is not 32 bytes"
    place, last, found = index, size - 1, digest
    for step in proof:
        if last == 0:
            return "the proof is too long"
        if place & 1 or place == last:
            found = node(step, found)
            place, last = _up(place, last)
        else:
            found = node(found, step)
        place, last = place >> 1, last >> 1
    if last:
        return "the proof is too short"
    if found != root:
        return "the proof does not lead to the root"
    return ""


def consistent(
    old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> str:
    """Checks that a tree is the beginning of another (RFC 9162, 2.1.4.2).

    Every tree begins with the empty one, which needs no proof; so does the same tree twice.

    Args:
        old_size: leaves of the earlier tree.
        old_root: its root.
        size: leaves of the later tree.
        root: its root.
        proof: digests that lead to both.

    Returns:
        An empty string if it is, else what is wrong, in words.
    """
    if why := _unfit(old_size, old_root, size, root, proof):
        return why
    if old_size in (0, size):
        return "the proof is too long" if proof else ""
    steps = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not steps:
        return "the proof is too short"
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return "the proof is too long"
        if place & 1 or place == last:
            before, after = node(step, before), node(step, after)
            place, last = _up(place, last)
        else:
            after = node(after, step)
        place, last = place >> 1, last >> 1
    if last:
        return "the proof is too short"
    if (before, after) != (old_root, root):
        return "the proof does not lead to the roots"
    return ""


def _unfit(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> str:
    """What no proof can make good."""
    if not 0 <= old_size <= size <= MOST_LEAVES:
        return f"a tree of {size} does not begin with one of {old_size}"
    if not _digests(proof, old_root, root):
        return "a digest is not 32 bytes"
    if old_size == size and old_root != root:
        return "two trees of the same size have different roots"
    if old_size == 0 and old_root != EMPTY:
        return "a tree without entries has another root"
    return ""


def _up(place: int, last: int) -> tuple[int, int]:
    """Past the levels at which a node has no sibling to its left."""
    while not place & 1 and place:
        place, last = place >> 1, last >> 1
    return place, last


def _digests(proof: Sequence[bytes], *others: bytes) -> bool:
    return all(len(digest) == SIZE for digest in (*proof, *others))
