"""A witness: sees a log's checkpoints, cosigns those that only add to what it has seen, and keeps the others as evidence.

Its folder holds its key and its memory together, so that a witness which has lost its memory has lost its key:
one that began again with the old key would cosign another history.

    key                       its private key
    logs/<digest>/state.json  the log's key, the newest checkpoints that were cosigned, the last time
    logs/<digest>/evidence/   what was refused, beside what was known
"""

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from troth.crypto import merkle
from troth.errors import Malformed, Misuse, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import kept, witness_state
from troth.tlog import note as notes
from troth.tlog.checkpoint import Checkpoint, NotSigned
from troth.tlog.note import Kind, Note, VerifierKey
from troth.tlog.signer import SigningKey
from troth.tlog.witness_state import State
from troth.tlog.witnessing import SIZE_TYPE, Answer, Request

_REMEMBERED: Final = 32
"""Cosigned checkpoints that are kept, so that an older one of another root is known for a fork."""
_TEXT: Final = "text/plain; charset=utf-8"
_FINDINGS: Final = {
    "fork": "FORK: {log} signed two trees of {size} entries",
    "rollback": "ROLLBACK: a checkpoint of {size} entries, signed by {log}, is none of the last that were"
    " seen here, and {known} entries were seen",
    "unproved": "NOT PROVED: a checkpoint of {size} entries, signed by {log}, came with no proof that it"
    " begins with the {known} that were seen; whoever sent it may have erred, or the log has forked",
}


class Witness:
    """One witness with its key and its memory. Its methods may be called from several threads and processes.

    Attributes:
        folder: where both are.
        verifier: the public key.
    """

    def __init__(
        self, folder: Path, key: SigningKey, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder: Final = folder
        self.verifier: Final = key.verifier
        self._key = key
        self._clock = clock

    @classmethod
    def create(cls, folder: Path, name: str, *, clock: Callable[[], float] = time.time) -> Self:
        """A new witness with a new key.

        Args:
            folder: does not exist yet, or is empty.
            name: of its key, such as `witness.example/w1`.
            clock: seconds since 1970.

        Raises:
            Misuse: the folder is not empty, or nothing can have this name.
            Unavailable: the disk refuses.
        """
        key = SigningKey.generate(name, Kind.COSIGNATURE)
        with kept.disk(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if any(folder.iterdir()):
                raise Misuse(f"{folder} is not empty", fix="name a new folder for a new witness")
            (folder / "logs").mkdir(mode=0o700)
        kept.write(folder / "key", key.text().encode())
        return cls(folder, key, clock)

    @classmethod
    def open(cls, folder: Path, *, clock: Callable[[], float] = time.time) -> Self:
        """The witness of a folder.

        Raises:
            Misuse: there is none, or others may read its key.
            Malformed: its key is none.
            Unavailable: the disk refuses; or there is a key, and no memory with it.
        """
        place = folder / "key"
        with kept.disk(folder):
            try:
                mode = place.stat().st_mode
                text = place.read_bytes()[:4096]
            except (FileNotFoundError, NotADirectoryError):
                raise Misuse(
                    f"{folder} holds no witness", fix="make one: troth tlog witness DIR --new NAME"
                ) from None
        if mode & 0o077:
            raise Misuse(f"others may read {place}", fix=f"chmod 600 {place}")
        if not (folder / "logs").is_dir():
            raise Unavailable(
                f"the witness in {folder} has lost its memory",
                fix="make a new witness, with a new key, and tell those who named this one",
            )
        key = SigningKey.read(text.decode("utf-8", "replace"), source=str(place))
        if key.verifier.kind is not Kind.COSIGNATURE:
            raise Misuse(f"{place} is no witness's key, but a log's or an owner's")
        return cls(folder, key, clock)

    def logs(self) -> tuple[State, ...]:
        """What is known of each log, by its name.

        Raises:
            Unavailable: a memory cannot be read, or is damaged.
        """
        with kept.disk(self.folder):
            places = [p for p in (self.folder / "logs").iterdir() if not p.name.startswith(".")]
        return tuple(
            sorted((witness_state.read(p) for p in places), key=lambda state: state.log.name)
        )

    def add_log(self, log: VerifierKey) -> None:
        """From now on checkpoints of this log are cosigned; nothing happens where it is known.

        Raises:
            Misuse: it is no log's key, or the log is known by another.
            Unavailable: the disk refuses.
        """
        if log.kind is not Kind.ED25519:
            raise Misuse(f"{log.name}: this is a witness's key, and no log's")
        place = self._place(log.name)
        with kept.alone(self.folder / "lock"):
            if place.exists():
                known = witness_state.read(place).log
                if known != log:
                    raise Misuse(
                        f"{log.name} is known by the key {known.id.hex()}, not {log.id.hex()}",
                        fix="a log with another key is another log: it needs another name",
                    )
                return
            # Whole or not at all: a folder without its state is taken for one that was lost.
            with kept.disk(place):
                scratch = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
                (scratch / "evidence").mkdir(mode=0o700)
            witness_state.write(scratch, State(log=log, time=0))
            with kept.disk(place):
                scratch.rename(place)
                kept.sync(place.parent)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answers a request to cosign (c2sp.org/tlog-witness, add-checkpoint).

        What it cosigns is on the disk before it is given out.

        Args:
            body: the request.

        Raises:
            Unavailable: the memory cannot be read or written; nothing was cosigned then.
        """
        try:
            request = Request.parse(body)
            origin = checkpoints.parse(notes.parse(request.note).text).origin
            place = self._place(origin)
            if not place.is_dir():
                return _refused(404, f"the log {origin[:80]!r} is not known here")
            log = witness_state.read(place).log
            signed = checkpoints.opened(request.note, log=log)
        except NotSigned as error:
            return _refused(403, str(error))
        except Malformed as error:
            return _refused(400, str(error))
        if request.old_size > signed.checkpoint.size:
            return _refused(400, "the old size is larger than the checkpoint's")
        # Other lines of signature say nothing here, and whoever sends them chooses how long they are.
        note = Note(text=signed.note.text, signatures=signed.note.by(log))
        with kept.alone(self.folder / "lock"):
            return self._judge(place, witness_state.read(place), request, signed.checkpoint, note)

    def _judge(
        self, place: Path, state: State, request: Request, new: Checkpoint, note: Note
    ) -> Answer:
        """Cosigns, or says why not. The caller holds the lock."""
        latest = state.latest
        conflict = Answer(status=409, content_type=SIZE_TYPE, body=f"{latest.size}\n".encode())
        same = state.same_size(new)
        if same is not None and witness_state.of(same).root != new.root:
            return self._kept(place, state, note, conflict, kind="fork", known=same)
        if new.size < latest.size:
            if same is not None:
                return conflict  # it was cosigned once, and anybody can send it again
            return self._kept(place, state, note, conflict, kind="rollback")
        if request.old_size != latest.size:
            return conflict
        wrong = merkle.consistent(latest.size, latest.root, new.size, new.root, request.proof)
        if wrong:
            answer = _refused(422, wrong)
            return self._kept(place, state, note, answer, kind="unproved")
        now = int(self._clock())
        if now < state.time or now <= 0:
            return Answer(
                status=503,
                content_type=_TEXT,
                body=b"this witness's clock went back\n",
                finding=f"CLOCK: it is behind {state.time}, which was signed already for {state.log.name}",
            )
        earlier = state.cosigned[:-1] if new.size == latest.size else state.cosigned
        cosigned = (*earlier, note.encode())[-_REMEMBERED:]
        witness_state.write(place, State(log=state.log, time=now, cosigned=cosigned))
        line = self._key.sign(note.text, time=now).line().encode()
        return Answer(status=200, content_type=_TEXT, body=line)

    def _kept(
        self,
        place: Path,
        state: State,
        note: Note,
        answer: Answer,
        *,
        kind: str,
        known: bytes | None = None,
    ) -> Answer:
        """The answer, with what its keeper must be told; both notes are kept."""
        if known is None:
            known = state.cosigned[-1] if state.cosigned else b""
        path = witness_state.keep(
            place,
            state,
            kind=kind,
            refused=note.encode(),
            cosigned=known,
            at=int(self._clock()),
        )
        size = checkpoints.parse(note.text).size
        words = _FINDINGS[kind].format(log=state.log.name, size=size, known=state.latest.size)
        return replace(answer, finding=f"{words}; kept as {path}")

    def _place(self, origin: str) -> Path:
        return self.folder / "logs" / hashlib.sha256(origin.encode()).hexdigest()[:32]


def _refused(status: int, words: str) -> Answer:
    return Answer(status=status, content_type=_TEXT, body=words.encode() + b"\n")
