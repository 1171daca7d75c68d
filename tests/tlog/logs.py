"""A log in memory, whose keeper may lie: any entries, any past, any checkpoint, signed with the true key."""

from collections.abc import Sequence

from troth.crypto import merkle
from troth.crypto.merkle import Frontier
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


def frontier(entries: Sequence[bytes]) -> Frontier:
    made = Frontier()
    for entry in entries:
        made.append(merkle.leaf(entry))
    return made
