"""What a monitor remembers of a log, in a file. A log that shows less, or something else, never replaces it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import kept
from troth.tlog.checkpoint import Checkpoint, Signed
from troth.tlog.note import Note, VerifierKey, verifier_key
from troth.wire import json

SCHEMA: Final = "troth/log-monitor/1"
_MOST: Final = 1024 * 1024
_NONE: Final = ""
"""Stands for no question: that of an app begins with its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a log said when it was looked at last.

    Attributes:
        log: its key.
        note: the newest checkpoint, with the log's signature; None before the first look.
        read: for each question (see `Watched.question`) up to which entry the log was read for it; for none (an
            empty name) only where a look ended before the log did.
    """

    log: VerifierKey
    note: bytes | None = None
    read: Mapping[str, int] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says.

        Raises:
            Misuse: there is none.
        """
        if self.note is None:
            raise Misuse(f"{self.log.name} was never looked at")
        return checkpoints.opened(self.note, log=self.log).checkpoint

    def start(self, question: str | None) -> int:
        """Where to read on: for a question where it was read up to, else at the first entry that is new or unread."""
        if question is not None:
            return self.read.get(question, 0)
        return self.read.get(_NONE, 0 if self.note is None else self.checkpoint.size)

    def after(self, signed: Signed, *, question: str | None, read: int) -> Self:
        """The memory after a look at a log that only grew."""
        note = Note(text=signed.note.text, signatures=signed.note.by(self.log)).encode()
        reads = dict(self.read)
        if question is not None:
            reads[question] = read
        elif read < signed.checkpoint.size:
            reads[_NONE] = read
        else:
            reads.pop(_NONE, None)
        return replace(self, note=note, read=reads)


def load(path: Path, log: VerifierKey) -> Memory:
    """The memory in a file, or a new one where there is none.

    Raises:
        Misuse: it is of another log.
        Unavailable: it cannot be read, or is damaged: what it knew must not be forgotten.
    """
    data = kept.read(path, limit=_MOST)
    if data is None:
        return Memory(log=log)
    try:
        memory = _parse(data, str(path))
    except TrothError as error:
        raise Unavailable(
            f"the memory of the log is damaged: {error}",
            fix="bring it back from a backup, or remove it to begin again without that memory",
        ) from None
    if memory.log != log:
        raise Misuse(
            f"{path} remembers the log {memory.log}, not {log}",
            fix="name another file for each log",
        )
    return memory


def save(path: Path, memory: Memory) -> None:
    """Puts the memory on the disk, whole or not at all.

    Raises:
        Unavailable: the disk refuses.
    """
    if memory.note is None:
        return
    value = {
        "schema": SCHEMA,
        "log": str(memory.log),
        "checkpoint": memory.note.decode(),
        "read": dict(memory.read),
    }
    kept.write(path, json.canonical(value) + b"\n")


def _parse(data: bytes, name: str) -> Memory:
    match json.parse(data, field=name, limit=_MOST):
        case {
            "schema": str(schema),
            "log": str(log),
            "checkpoint": str(note),
            "read": dict(read),
        } if schema == SCHEMA and all(type(n) is int and n >= 0 for n in read.values()):
            memory = Memory(
                log=verifier_key(log), note=note.encode("utf-8", "surrogatepass"), read=read
            )
            size = memory.checkpoint.size
            if all(n <= size for n in read.values()):
                return memory
    raise Malformed(f"is not of schema {SCHEMA}", field=name)
