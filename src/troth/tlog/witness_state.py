"""What a witness knows of one log, as a file. What is absent or damaged is never taken for empty."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from troth.crypto import merkle
from troth.errors import Malformed, TrothError, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import kept
from troth.tlog import note as notes
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.note import VerifierKey, verifier_key
from troth.wire import json

SCHEMA: Final = "troth/witness-state/1"
EVIDENCE: Final = "troth/witness-evidence/1"
MOST_EVIDENCE: Final = 200
_MOST_STATE: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a witness knows of one log.

    Attributes:
        log: the log's key.
        time: of the last cosignature, in seconds since 1970; 0 before the first.
        cosigned: checkpoints with their log's signature, the newest last.
    """

    log: VerifierKey
    time: int
    cosigned: tuple[bytes, ...] = ()

    @property
    def latest(self) -> Checkpoint:
        """The newest checkpoint that was cosigned, or that of the empty log."""
        if not self.cosigned:
            return Checkpoint(origin=self.log.name, size=0, root=merkle.EMPTY)
        return of(self.cosigned[-1])

    def same_size(self, new: Checkpoint) -> bytes | None:
        """A note that was cosigned for as many entries; None where there is none that is remembered."""
        return next((note for note in self.cosigned if of(note).size == new.size), None)


def of(note: bytes) -> Checkpoint:
    """The checkpoint of a note whose signature was verified before it was kept."""
    return checkpoints.parse(notes.parse(note).text)


def read(place: Path) -> State:
    """The memory in one log's folder.

    Raises:
        Unavailable: it is absent, damaged or cannot be read.
    """
    path = place / "state.json"
    try:
        data = kept.read(path, limit=_MOST_STATE)
        if data is None:
            raise Malformed("is gone", field=str(path))
        return _parse(data, str(path))
    except TrothError as error:
        raise Unavailable(
            f"the witness's memory of a log is lost or damaged: {error}",
            fix="bring back the newest copy of this file; without it this witness must end, and a new"
            " one with a new key begin",
        ) from None


def write(place: Path, state: State) -> None:
    """Puts the memory on the disk.

    Raises:
        Unavailable: the disk refuses.
    """
    value = {
        "schema": SCHEMA,
        "log": str(state.log),
        "time": state.time,
        "cosigned": [note.decode() for note in state.cosigned],
    }
    kept.write(place / "state.json", json.canonical(value) + b"\n")


def keep(place: Path, state: State, *, kind: str, refused: bytes, cosigned: bytes, at: int) -> Path:
    """Keeps what was refused beside what was known, once, and at most `MOST_EVIDENCE` of each kind.

    Anybody can send old checkpoints, or new ones with a wrong proof; those must not take a fork's room.

    Raises:
        Unavailable: the disk refuses.
    """
    value = {
        "schema": EVIDENCE,
        "kind": kind,
        "log": str(state.log),
        "at": at,
        "cosigned": cosigned.decode(),
        "refused": refused.decode(),
    }
    # By what the log signed: whoever sends it can write the lines of signature in many ways.
    text = notes.parse(refused).text.encode()
    path = place / "evidence" / f"{kind}-{hashlib.sha256(text).hexdigest()[:32]}.json"
    with kept.disk(path):
        names = os.listdir(path.parent)  # noqa: PTH208 - names are enough
    there = [name for name in names if name.startswith(f"{kind}-")]
    if path.name not in there and len(there) < MOST_EVIDENCE:
        kept.write(path, json.canonical(value) + b"\n")
    return path


def _parse(data: bytes, field: str) -> State:
    match json.parse(data, field=field, limit=_MOST_STATE):
        case {"schema": str(schema), "log": str(log), "time": int(at), "cosigned": list(found)} if (
            schema == SCHEMA and at >= 0
        ):
            state = State(log=verifier_key(log), time=at, cosigned=_texts(found, field))
            if state.cosigned:
                checkpoints.opened(state.cosigned[-1], log=state.log, field=field)
            return state
    raise Malformed(f"is not of schema {SCHEMA}", field=field)


def _texts(found: Sequence[Any], field: str) -> tuple[bytes, ...]:
    if not all(isinstance(text, str) for text in found):
        raise Malformed("holds what is no checkpoint", field=field)
    return tuple(text.encode("utf-8", "surrogatepass") for text in found)
