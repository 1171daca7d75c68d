"""A log in memory, whose keeper may lie: any entries, any past, any checkpoint, signed with the true key."""

from collections.abc import Sequence
from pathlib import Path

from troth.crypto import merkle
from troth.tlog import tiles
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.note import Note
from troth.tlog.signer import SigningKey

KEY = SigningKey.generate("example.com/log")


def numbered(count: int, word: str = "entry") -> list[bytes]:
    return [f"{word} {n}".encode() for n in range(count)]


def checkpoint(entries: Sequence[bytes], key: SigningKey = KEY) -> Checkpoint:
    root = merkle.root(merkle.leaf(e) for e in entries)
    return Checkpoint(origin=key.verifier.name, size=len(entries), root=root)


def signed(entries: Sequence[bytes], key: SigningKey = KEY) -> bytes:
    text = checkpoint(entries, key).text()
    return Note(text=text, signatures=(key.sign(text),)).encode()


def consistency(entries: Sequence[bytes], old: int) -> tuple[bytes, ...]:
    """RFC 6962, section 2.1.2, word for word."""
    return _subproof(old, [merkle.leaf(e) for e in entries], whole=True) if old else ()


def _subproof(old: int, leaves: list[bytes], *, whole: bool) -> tuple[bytes, ...]:
    if old == len(leaves):
        return () if whole else (merkle.root(leaves),)
    cut = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= cut:
        return (*_subproof(old, leaves[:cut], whole=whole), merkle.root(leaves[cut:]))
    return (*_subproof(old - cut, leaves[cut:], whole=False), merkle.root(leaves[:cut]))


def publish(
    folder: Path, entries: Sequence[bytes], *, note: bytes | None = None, key: SigningKey = KEY
) -> None:
    """Writes a log's files as whoever keeps it likes: these entries, under this checkpoint."""
    digests = [merkle.leaf(e) for e in entries]
    files = {tiles.CHECKPOINT: signed(entries, key) if note is None else note}
    for level, full, rest in tiles.widths(len(entries)):
        for index in range(full + bool(rest)):
            width = tiles.WIDTH if index < full else rest
            part = slice(index * tiles.WIDTH, index * tiles.WIDTH + width)
            files[tiles.tile(level, index, width)] = b"".join(digests[part])
            if level == 0:
                files[tiles.bundle(index, width)] = tiles.pack(entries[part])
        digests = [
            merkle.root(digests[n * tiles.WIDTH : (n + 1) * tiles.WIDTH]) for n in range(full)
        ]
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
