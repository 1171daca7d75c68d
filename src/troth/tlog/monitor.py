"""Watching a log: what it says now against what it said before, and what it holds that its owners did not make.

Pure: the reader gives what the log serves, the memory is a value (see monitor_state.py), and instants are arguments.
"""

import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from troth.crypto import merkle
from troth.errors import Malformed, Misuse, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import entry as entries
from troth.tlog import note as notes
from troth.tlog.checkpoint import NotSigned, Signed
from troth.tlog.entry import Entry, NoEntry
from troth.tlog.monitor_state import Memory
from troth.tlog.note import VerifierKey
from troth.tlog.read import Reader
from troth.tlog.statement import (
    Artifacts,
    Freeze,
    KeyRelease,
    Owners,
    PolicyChange,
    Release,
    Revoke,
    check_app,
)

MOST_LISTED: Final = 10_000
MOST_FOUND: Final = 1_000
MOST_READ: Final = 2_000_000
"""Entries that one look reads; a log that says to have more keeps nobody busy for ever."""
_AGE: Final = re.compile(r"([0-9]{1,6})([mhd])")


class Kind(StrEnum):
    """What can be wrong with a log, or be in it."""

    UNSIGNED = "unsigned"
    ROLLBACK = "rollback"
    FORK = "fork"
    TRUNCATED = "truncated"
    ALTERED = "altered"
    FOREIGN = "foreign"
    """An entry for the app, or with an owner's signature, that its owners did not make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that its owners, or everybody who relies on the log, must be told.

    Attributes:
        kind: what.
        words: the same for people.
        index: of the entry, where it is one.
        notes: checkpoints that prove it, each with the log's signature.
    """

    kind: Kind
    words: str
    index: int | None = None
    notes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entry of the app.

    Attributes:
        index: its place.
        kind: release, artifacts, policy, freeze, revoke, owners or key-release.
        words: what it says, short.
        id: SHA-256 of what was signed, in hex.
        signed: names of those of the owners' keys whose signatures verify.
        mine: whether it is among those that the owners made; None where nobody said which they are.
    """

    index: int
    kind: str
    words: str
    id: str
    signed: tuple[str, ...]
    mine: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What to look for.

    Attributes:
        app: the app's name.
        owners: its owners' keys.
        mine: digests of what they made: SHA-256 of an entry's text in hex, see `Entry.id`. None lists the entries and
            finds fault with none.
    """

    app: str
    owners: tuple[VerifierKey, ...] = ()
    mine: frozenset[str] | None = None

    def __post_init__(self) -> None:
        check_app(self.app)

    @property
    def question(self) -> str | None:
        """What the log is read for, to go on from where that was done; None where there is no fault to find."""
        if self.mine is None:
            return None
        keys = "".join(sorted(map(str, self.owners)))
        return f"{self.app} {hashlib.sha256(keys.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What is asked of witnesses.

    Attributes:
        keys: theirs.
        threshold: how many of them must have seen the newest checkpoint.
        max_age: how long ago at most.
    """

    keys: tuple[VerifierKey, ...] = ()
    threshold: int = 0
    max_age: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if len({key.public for key in self.keys}) != len(self.keys):
            raise Misuse("one witness is named twice", fix="name each witness once")
        if any(key.kind is not notes.Kind.COSIGNATURE for key in self.keys):
            raise Misuse("a witness's key is of kind 4, and another was named for one")
        if not 0 <= self.threshold <= len(self.keys):
            raise Misuse(f"{self.threshold} of {len(self.keys)} witnesses cannot have to see it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen.

    Attributes:
        signed: the newest checkpoint; None where the log's own could not be taken.
        before: entries that the log had when it was looked at last; None at the first time.
        findings: what is wrong.
        undecided: what the witnesses do not say.
        listed: the app's entries since the last look, and since the first that was found fault with.
        strange: entries that begin as troth's do and are not understood.
        memory: to be kept for the next time; the old one where the log itself is found fault with.
    """

    signed: Signed | None = None
    before: int | None = None
    findings: tuple[Finding, ...] = ()
    undecided: tuple[str, ...] = ()
    listed: tuple[Listed, ...] = ()
    strange: int = 0
    memory: Memory


def check(
    reader: Reader,
    memory: Memory,
    *,
    witnessed: Witnessed,
    watched: Watched | None = None,
    at: datetime,
) -> Outcome:
    """Looks at a log once.

    Args:
        reader: of the log.
        memory: what it said before.
        witnessed: what is asked of witnesses.
        watched: an app of this log.
        at: now.

    Raises:
        Unavailable: the log cannot be reached. That it serves no such file is a finding.
    """
    before = None if memory.note is None else memory.checkpoint.size
    outcome = Outcome(before=before, memory=memory)
    try:
        note = reader.checkpoint()
        signed = checkpoints.opened(note, log=memory.log, witnesses=witnessed.keys)
        outcome = replace(outcome, signed=signed, undecided=unseen(signed, witnessed, at))
        if found := _grown(reader, memory, signed, note):
            return replace(outcome, findings=(found,))
        seen = _read(reader, memory, signed, watched)
    except NotSigned as error:
        found = Finding(kind=Kind.UNSIGNED, words=f"what the log serves is not its own: {error}")
        return replace(outcome, findings=(found,))
    except Malformed as error:
        words = f"what is served is not what the log signed, changed or in another order: {error}"
        return replace(outcome, findings=(Finding(kind=Kind.ALTERED, words=words),))
    except Unavailable as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        words = f"the log does not serve what it signed: {error}"
        return replace(outcome, findings=(Finding(kind=Kind.TRUNCATED, words=words),))
    left = signed.checkpoint.size - seen.end
    unread = (f"{left} entries are not read yet: look again",) if left else ()
    return replace(
        outcome,
        undecided=(*outcome.undecided, *unread),
        findings=tuple(seen.findings),
        listed=tuple(seen.listed),
        strange=seen.strange,
        memory=memory.after(signed, question=watched.question if watched else None, read=seen.read),
    )


def _grown(reader: Reader, memory: Memory, signed: Signed, note: bytes) -> Finding | None:
    """Whether the log only grew; what it did where it did not."""
    if memory.note is None:
        return None
    old, new = memory.checkpoint, signed.checkpoint
    both = (memory.note, note)
    if new.size < old.size:
        words = f"the log shows {new.size} entries, and has shown {old.size}"
        return Finding(kind=Kind.ROLLBACK, words=words, notes=both)
    proof = reader.consistency(old.size, new) if 0 < old.size < new.size else ()
    if why := merkle.consistent(old.size, old.root, new.size, new.root, proof):
        words = f"the log of {new.size} entries does not begin with the {old.size} that it has shown: {why}"
        return Finding(kind=Kind.FORK, words=words, notes=both)
    return None


def unseen(signed: Signed, witnessed: Witnessed, at: datetime) -> tuple[str, ...]:
    """What witnesses do not say of a checkpoint, in words; nothing where enough saw it, and lately.

    The k-th latest time counts, so that fewer liars than k change nothing.
    """
    if not witnessed.threshold:
        return ()
    latest = [max(times) for times in signed.seen(at).values()]
    if len(latest) < witnessed.threshold:
        return (
            f"{len(latest)} of the {witnessed.threshold} witnesses that are asked for have seen it",
        )
    newest = sorted(latest, reverse=True)[witnessed.threshold - 1]
    if at - newest > witnessed.max_age:
        return (f"the witnesses saw it last at {newest:%Y-%m-%d %H:%M}Z: the log may be frozen",)
    return ()


def age(text: str) -> timedelta:
    """The time of `90m`, `24h` or `7d`.

    Raises:
        Misuse: it is none.
    """
    match = _AGE.fullmatch(text)
    if match is None:
        raise Misuse(f"{text[:20]!r} is no time", fix="write it like 90m, 24h or 7d")
    return int(match[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1)}.get(
        match[2], timedelta(days=1)
    )


@dataclass(slots=True)
class _Seen:
    """What reading finds.

    Attributes:
        end: up to which entry it read.
        read: where the next look begins.
        findings, listed, strange: see `Outcome`.
    """

    end: int
    read: int
    findings: list[Finding] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)
    strange: int = 0

    def found(self, finding: Finding) -> None:
        """The next look begins with the first entry that was found fault with, until it is acknowledged."""
        if finding.index is not None and not self.findings:
            self.read = finding.index
        if len(self.findings) < MOST_FOUND:
            self.findings.append(finding)


def _read(reader: Reader, memory: Memory, signed: Signed, watched: Watched | None) -> _Seen:
    """Reads every entry that is new, and those of the app that were not read for it."""
    start = memory.start(watched.question if watched else None)
    end = min(signed.checkpoint.size, start + MOST_READ)
    seen = _Seen(end=end, read=end)
    for index, data in enumerate(reader.entries(start, end, signed.checkpoint), start):
        try:
            _judge(index, entries.parse(data), watched, seen)
        except Malformed as error:
            if isinstance(error, NoEntry) and not data.startswith(entries.BEGIN):
                continue
            seen.strange += 1
            _judge_strange(index, data, error, watched, seen)
    return seen


def _judge(index: int, entry: Entry, watched: Watched | None, seen: _Seen) -> None:
    if watched is None:
        return
    signed = tuple(key.name for key in notes.signers(entry.note, watched.owners))
    mine = None if watched.mine is None else entry.id in watched.mine
    kind, words = _words(entry)
    ours = entry.says.app == watched.app
    if ours and len(seen.listed) < MOST_LISTED:
        seen.listed.append(
            Listed(index=index, kind=kind, words=words, id=entry.id, signed=signed, mine=mine)
        )
    if mine is not False or not (signed or (ours and kind != "key-release")):
        return  # what keys were given to is said by a key service, and not by the owners
    by = f"SIGNED with the key of {', '.join(signed)}" if signed else "signed by none of the owners"
    found = f"entry {index} for {entry.says.app}, {kind} {words}: not made by its owners; {by}"
    seen.found(Finding(kind=Kind.FOREIGN, words=found, index=index))


def _judge_strange(
    index: int, data: bytes, error: Malformed, watched: Watched | None, seen: _Seen
) -> None:
    """An entry that is not understood: another version of troth may understand it."""
    if watched is None or watched.mine is None:
        return
    try:
        note = notes.parse(data)
    except Malformed:
        note = None
    if note is not None and hashlib.sha256(note.text.encode()).hexdigest() in watched.mine:
        return
    signed = bool(note and notes.signers(note, watched.owners))
    if signed or watched.app.encode() in data:
        words = f"entry {index} names {watched.app} or its owners, and is not understood: {error}"
        seen.found(Finding(kind=Kind.FOREIGN, words=words, index=index))


def _words(entry: Entry) -> tuple[str, str]:
    """Kind and content of an entry, short."""
    match entry.says:
        case Release(version=version):
            return "release", version
        case Artifacts(version=version, files=files):
            first = f"{next(iter(files))}{' …' if len(files) > 1 else ''}"
            return "artifacts", f"{version} {first}"
        case PolicyChange(version=version, policy_sha256=digest):
            return "policy", f"{version} {digest[:16]}"
        case Freeze(what=what):
            return "freeze", what
        case Revoke(release=release, why=why):
            return "revoke", f"{release[:16]} {why}"
        case Owners(keys=keys, threshold=threshold):
            return "owners", f"{threshold} of {len(keys)}"
        case KeyRelease(scope=scope, generation=generation):
            return "key-release", f"{scope} {generation}"
