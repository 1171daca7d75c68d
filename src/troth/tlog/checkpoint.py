"""Checkpoints (c2sp.org/tlog-checkpoint): what a log says of itself in a signed note, and who saw it when."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from troth.crypto import merkle
from troth.errors import Malformed, Misuse
from troth.tlog import note as notes
from troth.tlog.note import Kind, Note, VerifierKey
from troth.wire.text import from_base64

AHEAD: Final = timedelta(minutes=5)
"""How far a witness's clock may be ahead of the instant of judgement."""
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_DIGEST: Final = re.compile(r"[A-Za-z0-9+/=]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A state of a log. Nothing says yet that the log signed it.

    Attributes:
        origin: which log.
        size: its entries.
        root: 32 bytes, the root of its tree.
        extensions: further lines, which troth neither writes nor understands.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """What is signed."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode())
        return "\n".join((*lines, *self.extensions)) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A checkpoint that its log signed.

    Attributes:
        checkpoint: what it says.
        note: the bytes' own form, with every signature.
        times: each of the given witnesses whose cosignatures all verify, with the times of those, the
            earliest first.
    """

    checkpoint: Checkpoint
    note: Note
    times: Mapping[VerifierKey, tuple[datetime, ...]]

    def seen(self, at: datetime) -> dict[VerifierKey, tuple[datetime, ...]]:
        """The times that count at an instant, of each witness that has one: what is yet to come says nothing."""
        counted = {
            witness: tuple(time for time in times if time - at <= AHEAD)
            for witness, times in self.times.items()
        }
        return {witness: times for witness, times in counted.items() if times}


class NotSigned(Malformed):
    """A checkpoint that its log did not sign."""


def parse(text: str, *, field: str = "checkpoint") -> Checkpoint:
    """Reads the text of a checkpoint.

    Raises:
        Malformed: a line is missing, or not what it should be.
    """
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines):
        raise Malformed("a checkpoint has three lines or more, none empty", field=field)
    origin, size, root, *extensions = lines
    if not _SIZE.fullmatch(size) or int(size) > merkle.MOST_LEAVES:
        raise Malformed(f"{size[:30]!r} is no size of a log", field=field)
    if not _DIGEST.fullmatch(root):
        raise Malformed(f"{root[:60]!r} is no root of a log", field=field)
    digest = from_base64(root.encode(), field=field)
    if len(digest) != merkle.SIZE:
        raise Malformed(f"the root has {len(digest)} bytes, should have 32", field=field)
    if int(size) == 0 and digest != merkle.EMPTY:
        raise Malformed("a log without entries has another root", field=field)
    return Checkpoint(origin=origin, size=int(size), root=digest, extensions=tuple(extensions))


def opened(
    data: bytes,
    *,
    log: VerifierKey,
    witnesses: Iterable[VerifierKey] = (),
    field: str = "checkpoint",
) -> Signed:
    """Reads a checkpoint and verifies who signed it.

    Args:
        data: a signed note.
        log: the log's key; the checkpoint's origin is its name.
        witnesses: keys of witnesses that count.
        field: for errors.

    Raises:
        Misuse: two of the witnesses are one key: what it signs does not say under which name.
        Malformed: it is no checkpoint.
        NotSigned: it is another log's, or its log's signature is missing or wrong.

    Does not verify: that the log has such a tree, that enough witnesses signed, or that it is new.
    """
    # Each once, in the order in which they were given.
    counted = tuple(dict.fromkeys(w for w in witnesses if w.kind is Kind.COSIGNATURE))
    if len({w.public for w in counted}) != len(counted):
        raise Misuse("two witnesses have the same public key", fix="name each witness once")
    note = notes.parse(data, field=field)
    checkpoint = parse(note.text, field=field)
    if checkpoint.origin != log.name:
        raise NotSigned(
            f"is of the log {checkpoint.origin[:80]!r}, not of {log.name!r}", field=field
        )
    if log.kind is not Kind.ED25519 or log not in notes.signers(note, [log]):
        raise NotSigned(f"{log.name} did not sign it with the key {log.id.hex()}", field=field)
    found = notes.signers(note, counted)
    times = {}
    for witness, signatures in found.items():
        stated = [notes.time_of(s) for s in signatures]
        known = sorted(t for t in stated if t is not None)
        if len(known) == len(stated):
            times[witness] = tuple(known)
    return Signed(checkpoint=checkpoint, note=note, times=times)
