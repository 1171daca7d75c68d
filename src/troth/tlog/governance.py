"""From a whole log to the state of one app in it: what its owners signed, since when that is known, what counts.

Time comes from the witnesses alone. Of k that must have seen something, the k-th earliest says since when it is
known, and the k-th latest when the log was looked at last: fewer than k liars move neither in their favour.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from troth.errors import Malformed
from troth.model.governed import WHATS, Announced, Filed, Frozen, Governed, Logged, Standing
from troth.tlog import entry as entries
from troth.tlog import note as notes
from troth.tlog.checkpoint import Signed
from troth.tlog.entry import Entry, NoEntry
from troth.tlog.note import Note, Signature, VerifierKey
from troth.tlog.snapshot import Opened
from troth.tlog.statement import (
    Artifacts,
    Freeze,
    Owners,
    PolicyChange,
    Release,
    Revoke,
    Statement,
)
from troth.tlog.terms import Terms

_MOST_IGNORED: Final = 20
_MOST_WRONG: Final = 1024
_S = TypeVar("_S", bound=Statement)
_R = TypeVar("_R", Release, Artifacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An entry of the app's that is understood.

    Attributes:
        index: its place in the log.
        entry: what it says.
        signed: how many of the owners signed it.
    """

    index: int
    entry: Entry
    signed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A log, read for one app under one policy's terms, before any instant is known.

    Attributes:
        terms: whose signatures count.
        opened: the log.
        written: the app's entries that are understood, in order.
        ignored: what an owner signed and is not understood, in words.
    """

    terms: Terms
    opened: Opened
    written: tuple[Written, ...]
    ignored: tuple[str, ...]


def read(opened: Opened, terms: Terms) -> Reading:
    """Reads every entry, and counts which owners signed those of the app.

    An entry that is not understood counts for nothing, whoever signed it, and hides no other.

    Raises:
        Malformed: more entries than anybody makes by mistake name an owner who did not sign them.
    """
    written: list[Written] = []
    ignored: list[str] = []
    owners = _Owners(terms.owners)
    for index, data in enumerate(opened.entries):
        try:
            found = entries.parse(data, field=f"entry {index}")
        except Malformed as error:
            if isinstance(error, NoEntry) and not data.startswith(entries.BEGIN):
                continue
            if len(ignored) < _MOST_IGNORED and owners.signed_any(data):
                ignored.append(f"is signed by an owner and not understood: {error}")
            continue
        if found.says.app == terms.app:
            signed = owners.signed(found.note)
            written.append(Written(index=index, entry=found, signed=signed))
    return Reading(terms=terms, opened=opened, written=tuple(written), ignored=tuple(ignored))


def state(reading: Reading, at: datetime) -> Governed:
    """The state of the app at an instant.

    Args:
        reading: the log.
        at: the instant of judgement. What a witness says of later times does not count.
    """
    terms, opened = reading.terms, reading.opened
    known = _Known(opened, terms, at)
    count = [w for w in reading.written if w.signed >= terms.owner_threshold]
    frozen = {
        says.what: Frozen(what=says.what, index=w.index, since=known.since(w.index))
        for w, says in reversed(_of(count, Freeze))
    }
    kinds = {"policy": PolicyChange, "keys": Owners}
    late = {
        w.index: f"entry {w.index} came after entry {frozen[what].index} froze the {what}"
        for what, kind in kinds.items()
        if what in frozen
        for w, _ in _of(count, kind)
        if w.index > frozen[what].index
    }
    weak = [
        f"entry {w.index} is signed by {w.signed} of the {terms.owner_threshold} owners that it needs"
        for w in reading.written
        if 0 < w.signed < terms.owner_threshold and not isinstance(w.entry.says, Release)
    ]
    return Governed(
        app=terms.app,
        log=terms.log.name,
        size=opened.newest.checkpoint.size,
        witnesses=len(terms.witnesses),
        witness_threshold=terms.witness_threshold,
        witnessed=len(known.newest),
        witnessed_at=known.latest(),
        owners=len(terms.owners),
        owner_threshold=terms.owner_threshold,
        notice=terms.notice,
        releases=tuple(_releases(reading, known, frozen.get("code"), at)),
        frozen=tuple(frozen[what] for what in WHATS if what in frozen),
        announced=tuple(
            Announced(
                index=w.index,
                keys=says.keys,
                threshold=says.threshold,
                since=known.since(w.index),
            )
            for w, says in _of(count, Owners)
            if w.index not in late
        ),
        policies=tuple(
            (w.index, says.policy_sha256, says.version)
            for w, says in _of(count, PolicyChange)
            if w.index not in late
        ),
        artifacts=tuple(_artifacts(reading, known, frozen.get("code"), at)),
        ignored=(*reading.ignored, *late.values(), *weak)[:_MOST_IGNORED],
    )


def _releases(
    reading: Reading, known: "_Known", frozen: Frozen | None, at: datetime
) -> Iterator[Logged]:
    for w, says, known_as in _standing(reading, Release, known, frozen, at):
        yield Logged(
            # Plain, for other processes: read-only views have no form of their own.
            measurements={p: dict(named) for p, named in says.measurements.items()},
            version=says.version,
            commit=says.source.commit if says.source else "",
            index=w.index,
            signed=w.signed,
            **known_as,
        )


def _artifacts(
    reading: Reading, known: "_Known", frozen: Frozen | None, at: datetime
) -> Iterator[Filed]:
    for w, says, known_as in _standing(reading, Artifacts, known, frozen, at):
        yield Filed(
            files=dict(says.files),
            sbom_sha256=says.sbom_sha256,
            provenance_sha256=says.provenance_sha256,
            version=says.version,
            commit=says.source.commit if says.source else "",
            index=w.index,
            signed=w.signed,
            **known_as,
        )


def _standing(
    reading: Reading, kind: type[_R], known: "_Known", frozen: Frozen | None, at: datetime
) -> Iterator[tuple[Written, _R, dict[str, Any]]]:
    """Each once, at its first place that counts: anybody may append a copy of an entry later on."""
    terms = reading.terms
    revoked = _revoked(reading)
    best: dict[str, tuple[Written, _R]] = {}
    for w, says in _of(reading.written, kind):
        first = best.setdefault(w.entry.id, (w, says))
        enough = min(w.signed, terms.owner_threshold)
        if enough > min(first[0].signed, terms.owner_threshold):
            best[w.entry.id] = (w, says)
    for name, (w, says) in sorted(best.items(), key=lambda item: item[1][0].index):
        since = known.since(w.index)
        active = _later(since, terms.notice)
        revoked_at, why = revoked.get(name, (None, ""))
        if revoked_at is not None:
            standing = Standing.REVOKED
        elif w.signed < terms.owner_threshold:
            standing = Standing.UNSIGNED
        elif frozen is not None and w.index > frozen.index:
            standing = Standing.FROZEN
        elif since is None:
            standing = Standing.UNSEEN
        else:
            standing = Standing.ACTIVE if active is not None and active <= at else Standing.WAITING
        yield (
            w,
            says,
            {
                "id": name,
                "known_since": since,
                "active_from": active,
                "standing": standing,
                "why": why,
                "revoked_at": revoked_at,
            },
        )


def _revoked(reading: Reading) -> dict[str, tuple[int, str]]:
    """Releases that enough owners revoked: where last, and why. A copy of a revocation is none anew."""
    first: dict[str, tuple[int, Revoke]] = {}
    for w, says in _of(reading.written, Revoke):
        if w.signed >= reading.terms.owner_threshold:
            first.setdefault(w.entry.id, (w.index, says))
    return {says.release: (index, says.why) for index, says in sorted(first.values(), key=_place)}


def _place(item: tuple[int, Revoke]) -> int:
    return item[0]


def _of(written: Iterable[Written], kind: type[_S]) -> list[tuple[Written, _S]]:
    return [(w, w.entry.says) for w in written if isinstance(w.entry.says, kind)]


def _later(since: datetime | None, notice: timedelta) -> datetime | None:
    """None also past the end of the calendar."""
    try:
        return None if since is None else since + notice
    except OverflowError:
        return None


class _Owners:
    """Counts signatures. A log that makes a verifier work is refused, and copies of one text cost nothing."""

    def __init__(self, keys: tuple[VerifierKey, ...]) -> None:
        self._keys = [((key.name, key.id), key) for key in keys]
        self._known: dict[tuple[str, Signature], bool] = {}
        self._wrong = 0

    def signed(self, note: Note) -> int:
        """How many of the owners signed; as with `note.signers`, a wrong signature takes its key out."""
        # Once for all owners: anybody can write notes of a hundred lines, and thousands of them.
        lines: dict[tuple[str, bytes], list[Signature]] = {}
        for one in note.signatures:
            lines.setdefault((one.name, one.key_id), []).append(one)
        return sum(
            all(self._verifies(note.text, one, key) for one in lines[named])
            for named, key in self._keys
            if named in lines
        )

    def signed_any(self, data: bytes) -> bool:
        """Whether an owner signed this, whatever it is."""
        try:
            note = notes.parse(data)
        except Malformed:
            return False
        return self.signed(note) > 0

    def _verifies(self, text: str, signature: Signature, key: VerifierKey) -> bool:
        known = self._known.get((text, signature))
        if known is None:
            known = self._known[text, signature] = not notes.wrong(text, signature, key)
            self._wrong += not known
            if self._wrong > _MOST_WRONG:
                raise Malformed(
                    f"more than {_MOST_WRONG} signatures of owners are wrong", field="log"
                )
        return known


class _Known:
    """When the witnesses had seen how much of the log.

    Attributes:
        newest: of each witness that has seen the newest checkpoint the latest time.
    """

    def __init__(self, opened: Opened, terms: Terms, at: datetime) -> None:
        self._enough = terms.witness_threshold
        self.newest = _times(opened.newest, terms, at, last=True)
        self._sizes: list[int] = []
        self._since: list[datetime | None] = []
        earliest: dict[VerifierKey, datetime] = {}
        table = []
        # Whoever saw a larger log saw all that a smaller one has.
        for one in (opened.newest, *reversed(opened.older)):
            for witness, time in _times(one, terms, at, last=False).items():
                earliest[witness] = min(time, earliest.get(witness, time))
            seen = sorted(earliest.values())
            table.append((one.checkpoint.size, _nth(seen, self._enough)))
        for size, since in reversed(table):
            self._sizes.append(size)
            self._since.append(since)

    def since(self, index: int) -> datetime | None:
        """When the k-th witness had seen an entry; None if fewer have."""
        place = bisect_right(self._sizes, index)
        return self._since[place] if place < len(self._since) else None

    def latest(self) -> datetime | None:
        """When the k-th last witness had seen the newest checkpoint; None if fewer have."""
        return _nth(sorted(self.newest.values(), reverse=True), self._enough)


def _times(
    one: Signed, terms: Terms, at: datetime, *, last: bool
) -> Mapping[VerifierKey, datetime]:
    pick, seen = (max if last else min), one.seen(at)
    return {witness: pick(seen[witness]) for witness in terms.witnesses if witness in seen}


def _nth(times: list[datetime], count: int) -> datetime | None:
    return times[count - 1] if len(times) >= count else None
