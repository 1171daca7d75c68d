"""Keeping a log: a folder of plain files that only grows, and never says two things of one size.

    checkpoint            the newest that was published, with all signatures
    checkpoints/<size>    every one that was published
    tile/…                digests and entries (see tiles.py)
    pending               what will be signed next: this root for this size, and no other
    .lock                 held by the one process that appends

The order of what is made durable is all there is to it. First the tiles and bundles, to which nothing points
yet. Then `pending`: from here on a crash can't make the log forget which root this size has. Only then is a
checkpoint signed and shown to witnesses, and the published file replaced; and only then is an entry acknowledged.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from troth.crypto import merkle
from troth.errors import Malformed, Misuse, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import note as notes
from troth.tlog import read, tiles
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.disk import Disk, Together, doing, make
from troth.tlog.note import Kind, Note, Signature
from troth.tlog.signer import SigningKey
from troth.tlog.writing import Writing

Proof = tuple[bytes, ...]
Cosign = Callable[[bytes, int, Callable[[int], Proof]], Sequence[Signature]]
"""Asks witnesses. It is given a checkpoint that the log signed, the size of the last one that was published,
and what proves that the log grew from any size; it returns cosignatures *that it verified*, and raises
`Unavailable` where there are too few."""

PENDING: Final = "pending"
LOCK: Final = ".lock"
REMEMBERED: Final = 4096
"""How many of the last entries `append(dedupe=True)` looks at."""

_FILES: Final = (tiles.CHECKPOINT, PENDING, tiles.HISTORY)
_INTENT: Final = "troth-log-pending/1\n"  # no checkpoint begins so: its second line is a size


class Log:
    """A log that this process may append to; the folder is locked until `close`.

    Attributes:
        folder: where it lies.
        published: the newest checkpoint that readers see.
        pending: the newest state that is on the disk: what `published` is, or will be.
        reader: reads the log's own files.
    """

    def __init__(self, folder: Path, key: SigningKey, *, disk: Disk, lock: int) -> None:
        """Made by `create` and `open`."""
        self.folder = folder
        self.reader = read.from_folder(folder)
        self._key = key
        self._disk = disk
        self._files = Together(disk, folder)
        self._lock = lock
        self._process = os.getpid()
        self._turns = threading.Lock()
        self.published: Checkpoint
        self.pending: Checkpoint
        self._writing: Writing
        self._recent: dict[bytes, int] | None = None

    @classmethod
    def create(cls, folder: Path, key: SigningKey, *, disk: Disk | None = None) -> Self:
        """A new log without entries, whose name is its key's.

        Raises:
            Misuse: something is in the folder, or the key signs no log.
            Unavailable: the folder can't be written, or another process has it.
        """
        return cls._locked(folder, key, disk or Disk(), new=True)

    @classmethod
    def open(cls, folder: Path, key: SigningKey, *, disk: Disk | None = None) -> Self:
        """A log that is there. What a crash left behind its last state is written again.

        Raises:
            Misuse: there is no log, or it is another key's.
            Malformed: its files do not lead to the root that it signed; nothing is ever appended then.
            Unavailable: the folder can't be written, or another process has it.

        Does not verify: that the folder is not an older copy of itself. Only witnesses remember that.
        """
        return cls._locked(folder, key, disk or Disk(), new=False)

    def append(
        self, entries: Sequence[bytes], *, cosign: Cosign | None = None, dedupe: bool = False
    ) -> Sequence[int]:
        """Adds entries, in their order, all under one new checkpoint.

        Args:
            entries: at most 65,535 bytes each.
            cosign: asks witnesses before the checkpoint is published.
            dedupe: an entry that is among the last 4,096 is not added again.

        Returns:
            The index of each entry. When it returns, they are on the disk and published.

        Raises:
            Misuse: an entry is too long; none is added.
            Unavailable: the disk failed: open the log again; or witnesses are missing: the entries are on
                the disk, and `publish` asks again.
        """
        with self._turn():
            for entry in entries:
                tiles.fits(entry)
            added, indices = self._new(entries) if dedupe else (entries, None)
            first = self.pending.size
            if added:
                self._write(added)
            if self.pending != self.published:
                self._publish(cosign)
        return range(first, first + len(added)) if indices is None else indices

    def publish(self, cosign: Cosign | None = None) -> bytes:
        """Signs and publishes what is pending, if anything is; the newest checkpoint's note.

        Raises:
            Unavailable: as `append` does.
        """
        with self._turn():
            return self.note() if self.pending == self.published else self._publish(cosign)

    def refresh(self, cosign: Cosign) -> bytes:
        """Asks witnesses about the newest checkpoint again, so that it shows how new it is.

        Of each witness its earliest cosignature is kept, which says since when the entries are known, and its
        latest.
        """
        with self._turn():
            return self._publish(cosign)

    def note(self) -> bytes:
        """The newest checkpoint that is published, with its signatures."""
        return self.reader.checkpoint()

    def close(self) -> None:
        """Lets go of the folder.

        Raises:
            Misuse: something is being appended.
        """
        if not self._turns.acquire(blocking=False):
            raise Misuse(f"the log in {self.folder} is being appended to")
        self._let_go()
        self._turns.release()

    def _let_go(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def _locked(cls, folder: Path, key: SigningKey, disk: Disk, *, new: bool) -> Self:
        if key.verifier.kind is not Kind.ED25519:
            raise Misuse(f"{key.verifier.name} is a witness's key, and a log signs with its own")
        if not new and not any(os.path.lexists(folder / name) for name in _FILES):
            raise Misuse(f"no log is in {folder}", fix="make one with `troth tlog init`")
        with doing(folder):
            folder = folder.resolve()
            if new:
                make(folder, disk)
            lock = os.open(
                folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644
            )
        log = cls(folder, key, disk=disk, lock=lock)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Unavailable(
                    f"another process appends to the log in {folder}", fix="wait until it has ended"
                ) from None
            with doing(folder):
                if new:
                    log._begin()
                log._load()
        except BaseException:
            log._let_go()
            raise
        return log

    def _begin(self) -> None:
        """The state without entries."""
        there = {path.name for path in self.folder.iterdir()} - {LOCK, f".{PENDING}.new"}
        if there:
            raise Misuse(
                f"{self.folder} is not empty: {min(there)}",
                fix="name a new folder, or open the log that is there",
            )
        self._intend(Checkpoint(origin=self._key.verifier.name, size=0, root=merkle.EMPTY))

    def _load(self) -> None:
        """The state that was last made durable, from the right edge of its tree."""
        published, pending, last = self._signed(), self._intended(), self._last()
        # Of the same size the pending one: tiles of another root do not lead to it.
        known = [state for state in (pending, published, last) if state is not None]
        if not known:
            raise Misuse(f"no log is in {self.folder}", fix="make one with `troth tlog init`")
        newest = max(known, key=lambda state: state.size)
        self._writing = Writing.at(self.reader, newest)
        for state in known:
            if self.reader.root(state.size, newest) != state.root:
                raise Malformed(
                    f"two roots were signed for {state.size} entries; nothing is appended",
                    field=PENDING if state is pending else tiles.CHECKPOINT,
                    fix="keep the folder as it is, and tell those who rely on the log",
                )
        self.pending = newest
        self.published = published or Checkpoint(origin=newest.origin, size=0, root=merkle.EMPTY)
        # A process that was killed may have left a name that is seen here and not on the disk yet.
        self._disk.sync(self.folder)
        if published is None and newest.size == 0:
            self._publish(None)

    def _signed(self, name: str = tiles.CHECKPOINT) -> Checkpoint | None:
        if not os.path.lexists(self.folder / name):
            return None
        try:
            data = read.files(self.folder)(name)
            return checkpoints.opened(data, log=self._key.verifier, field=name).checkpoint
        except checkpoints.NotSigned as error:
            raise Misuse(str(error), fix="name the key that the log was made with") from error

    def _last(self) -> Checkpoint | None:
        """The last one that was published, even if the files that say so are older copies."""
        if not (self.folder / tiles.HISTORY).is_dir():
            return None
        sizes = read.history(self.folder)
        return self._signed(f"{tiles.HISTORY}/{sizes[-1]}") if sizes else None

    def _intended(self) -> Checkpoint | None:
        path = self.folder / PENDING
        if not os.path.lexists(path):
            return None
        note = notes.parse(_bytes(path), field=PENDING)
        if self._key.verifier not in notes.signers(note, [self._key.verifier]):
            raise Misuse(
                f"{PENDING}: is not signed with the key {self._key.verifier.name}",
                fix="name the key that the log was made with",
            )
        if not note.text.startswith(_INTENT):
            raise Malformed("says nothing of a size", field=PENDING)
        return checkpoints.parse(note.text.removeprefix(_INTENT), field=PENDING)

    def _intend(self, checkpoint: Checkpoint) -> None:
        """Makes it durable that this size has this root, before anything says so that others believe."""
        text = _INTENT + checkpoint.text()
        note = Note(text=text, signatures=(self._key.sign(text),))
        self._files.write(PENDING, note.encode())
        self._files.settle()

    def _write(self, entries: Sequence[bytes]) -> None:
        with self._unless_it_fails():
            writing = self._writing.grown(entries, self._files)
            checkpoint = Checkpoint(
                origin=self._key.verifier.name, size=writing.size, root=writing.root()
            )
            self._intend(checkpoint)
            self._remember(entries)
            self._writing, self.pending = writing, checkpoint

    def _publish(self, cosign: Cosign | None) -> bytes:
        text = self.pending.text()
        note = Note(text=text, signatures=(self._key.sign(text),))
        fresh: Sequence[Signature] = ()
        if cosign is not None:
            fresh = cosign(
                note.encode(),
                self.published.size,
                lambda old: self.reader.consistency(old, self.pending),
            )
        history = f"{tiles.HISTORY}/{self.pending.size}"
        signatures = notes.first_and_last([*self._cosignatures(text), *fresh])
        data = Note(text=text, signatures=(*note.signatures, *signatures)).encode()
        try:
            checkpoints.opened(data, log=self._key.verifier)
        except Malformed as error:
            raise Misuse(f"what the witnesses gave can't be published: {error}") from error
        with self._unless_it_fails():
            self._files.write(history, data)
            self._files.write(tiles.CHECKPOINT, data)
            self._files.settle()
            before, self.published = self.published, self.pending
            self._writing.forget(before.size, self.published.size, self.folder, self._disk)
        return data

    def _cosignatures(self, text: str) -> list[Signature]:
        """Those that this very checkpoint was published with before."""
        size = self.pending.size
        if not os.path.lexists(self.folder / tiles.HISTORY / str(size)):
            return []
        note = notes.parse(self.reader.published(size), field=f"{tiles.HISTORY}/{size}")
        if note.text != text:
            return []
        return [s for s in note.signatures if not s.names(self._key.verifier)]

    def _new(self, entries: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
        """Those that are not among the last ones, and the index that each has or will have."""
        if self._recent is None:
            end = self.pending.size
            start = max(end - REMEMBERED, 0)
            found = self.reader.entries(start, end, self.pending)
            self._recent = {merkle.leaf(entry): index for index, entry in enumerate(found, start)}
        oldest = self.pending.size - REMEMBERED
        added: list[bytes] = []
        places: dict[bytes, int] = {}
        indices: list[int] = []
        for entry in entries:
            digest = merkle.leaf(entry)
            index = places.get(digest, self._recent.get(digest, -1))
            if index < max(oldest, 0):
                index = places[digest] = self.pending.size + len(added)
                added.append(entry)
            indices.append(index)
        return added, indices

    def _remember(self, entries: Sequence[bytes]) -> None:
        if self._recent is None:
            return
        self._recent |= {merkle.leaf(e): i for i, e in enumerate(entries, self.pending.size)}
        if len(self._recent) > 4 * REMEMBERED:
            last = self.pending.size + len(entries) - REMEMBERED
            self._recent = {digest: i for digest, i in self._recent.items() if i >= last}

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One at a time: two that appended at once would sign two roots for one size."""
        # A fork has the same lock, and another idea of the log's size.
        if self._process != os.getpid():
            raise Misuse(
                f"the log in {self.folder} was opened by another process",
                fix="open the log in the process that appends, after it was forked",
            )
        if self._lock >= 0 and not self._is_ours():
            self._let_go()
        if self._lock < 0:
            raise Misuse(f"the log in {self.folder} is closed", fix="open it again")
        if not self._turns.acquire(blocking=False):
            raise Misuse(
                f"the log in {self.folder} is being appended to", fix="wait until that has ended"
            )
        try:
            yield
        finally:
            self._turns.release()

    def _is_ours(self) -> bool:
        """Whether the lock is still the folder's: another process makes a new one where it was removed."""
        try:
            return os.path.samestat(os.fstat(self._lock), os.lstat(self.folder / LOCK))
        except OSError:
            return False

    @contextlib.contextmanager
    def _unless_it_fails(self) -> Iterator[None]:
        """After a step that failed nobody knows what is on the disk: the log is opened again, or not used."""
        try:
            with doing(self.folder):
                yield
        except BaseException:
            self._let_go()
            raise


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(notes.MOST_BYTES + 1)
