"""Proofs in a file (c2sp.org/tlog-proof): an entry's place, the way up to the root, and a checkpoint."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from troth.crypto import merkle
from troth.errors import Malformed
from troth.tlog import checkpoint as checkpoints
from troth.tlog.checkpoint import Checkpoint, Signed
from troth.tlog.note import MOST_BYTES as MOST_NOTE
from troth.tlog.note import VerifierKey
from troth.tlog.read import Reader
from troth.wire.text import from_base64

MOST_BYTES: Final = 2 * MOST_NOTE

_FIRST: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=]*")
_MOST_HASHES: Final = 62


class NotIncluded(Malformed):
    """The proof does not lead from the entry to the checkpoint's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a proof says. Nothing says yet that it proves anything.

    Attributes:
        index: of the entry.
        hashes: the way up, the entry's sibling first.
        checkpoint: a signed note, as the log served it.
        extra: data of who made it, which nobody signed; None where there is none.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The bytes that `parse` reads."""
        extra = [] if self.extra is None else [f"extra {_base64(self.extra)}"]
        lines = [_FIRST, *extra, f"index {self.index}", *map(_base64, self.hashes)]
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """An entry is in a log.

    Attributes:
        index: at this place.
        signed: the checkpoint that says so, with the times of the witnesses that saw it.
    """

    index: int
    signed: Signed


def make(reader: Reader, index: int, note: bytes, checkpoint: Checkpoint) -> Proof:
    """A proof for one entry.

    Args:
        reader: of the log.
        index: of the entry.
        note: the checkpoint's, with as many signatures as there are.
        checkpoint: what it says, opened.

    Raises:
        Misuse: the log has no such entry.
        Malformed: what is served is not the log that the checkpoint speaks of.
        Unavailable: a file is not served.
    """
    return Proof(index=index, hashes=reader.inclusion(index, checkpoint), checkpoint=note)


def parse(data: bytes, *, field: str = "proof") -> Proof:
    """Reads a proof; the checkpoint in it is not read yet.

    Raises:
        Malformed: it is none.
    """
    if len(data) > MOST_BYTES:
        raise Malformed(f"has more than {MOST_BYTES} bytes", field=field)
    head, separator, checkpoint = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("is not ASCII", field=field, offset=error.start) from None
    if first != _FIRST or not separator:
        raise Malformed(f"is no proof: begins with {_FIRST}, ends in a checkpoint", field=field)
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = _bytes(lines.pop(0).removeprefix("extra "), field=f"{field}.extra")
    match = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if match is None:
        raise Malformed("does not say which entry it is of", field=f"{field}.index")
    if len(lines) > _MOST_HASHES:
        raise Malformed(f"has more than {_MOST_HASHES} digests", field=field)
    hashes = tuple(_bytes(line, field=f"{field}.hashes") for line in lines)
    if any(len(digest) != merkle.SIZE for digest in hashes):
        raise Malformed(f"a digest is not {merkle.SIZE} bytes", field=f"{field}.hashes")
    return Proof(index=int(match[1]), hashes=hashes, checkpoint=checkpoint, extra=extra)


def check(
    proof: Proof,
    entry: bytes,
    *,
    log: VerifierKey,
    witnesses: Iterable[VerifierKey] = (),
    field: str = "proof",
) -> Proved:
    """Checks that an entry is in a log.

    Args:
        proof: as it was read.
        entry: the bytes that should be there.
        log: the log's key.
        witnesses: keys of witnesses that count.
        field: for errors.

    Raises:
        Malformed: the checkpoint is none.
        NotSigned: its log did not sign it.
        NotIncluded: the entry is not there.

    Does not verify: that enough witnesses saw the checkpoint, when, or that the log is honest with others.
    """
    signed = checkpoints.opened(
        proof.checkpoint, log=log, witnesses=witnesses, field=f"{field}.checkpoint"
    )
    tree = signed.checkpoint
    if why := merkle.included(merkle.leaf(entry), proof.index, tree.size, proof.hashes, tree.root):
        raise NotIncluded(f"does not show that the entry is in {log.name}: {why}", field=field)
    return Proved(index=proof.index, signed=signed)


def _bytes(text: str, *, field: str) -> bytes:
    if not _BASE64.fullmatch(text):
        raise Malformed("is not base64", field=field)
    return from_base64(text.encode(), field=field)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
