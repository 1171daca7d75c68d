"""What the log of releases says: which release runs, what is frozen, who can change it. For people and programs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from troth.model.check import stamp
from troth.model.governed import WHATS, Frozen, Governed, Logged, Standing
from troth.render.words import rfc3339, span

_MOST_RELEASES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseV1:
    id: str
    index: int
    version: str
    commit: str
    signed: int
    known_since: str | None
    active_from: str | None
    standing: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _FrozenV1:
    index: int
    since: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _AnnouncedV1:
    index: int
    since: str | None
    keys: tuple[str, ...]
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _PolicyV1:
    index: int
    sha256: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernedV1:
    """The state of an app in its log, as JSON has it."""

    app: str
    log: str
    size: int
    witnesses: int
    witness_threshold: int
    witnessed: int
    witnessed_at: str | None
    owners: int
    owner_threshold: int
    one_signer_decides: bool
    notice_s: int
    release: _ReleaseV1 | None
    releases: tuple[_ReleaseV1, ...]
    frozen: dict[str, _FrozenV1 | None]
    announced: tuple[_AnnouncedV1, ...]
    policies: tuple[_PolicyV1, ...]
    ignored: tuple[str, ...]


def v1(state: Governed) -> GovernedV1:
    """Its releases that an owner signed, the newest 100, and all else but files that no platform measures.

    Of those that no owner signed anybody can write any number.
    """
    frozen = {one.what: _FrozenV1(index=one.index, since=_at(one.since)) for one in state.frozen}
    mine = [one for one in state.releases if one.signed]
    return GovernedV1(
        app=state.app,
        log=state.log,
        size=state.size,
        witnesses=state.witnesses,
        witness_threshold=state.witness_threshold,
        witnessed=state.witnessed,
        witnessed_at=_at(state.witnessed_at),
        owners=state.owners,
        owner_threshold=state.owner_threshold,
        one_signer_decides=state.one_decides,
        notice_s=int(state.notice.total_seconds()),
        release=None if state.chosen is None else _release(state.chosen),
        releases=tuple(map(_release, mine[-_MOST_RELEASES:])),
        frozen={what: frozen.get(what) for what in WHATS},
        announced=tuple(
            _AnnouncedV1(
                index=one.index, since=_at(one.since), keys=one.keys, threshold=one.threshold
            )
            for one in state.announced
        ),
        policies=tuple(
            _PolicyV1(index=index, sha256=sha256, version=version)
            for index, sha256, version in state.policies
        ),
        ignored=state.ignored,
    )


def rows(state: Governed, policy_sha256: str) -> Iterator[tuple[str, str]]:
    """What it says, in words, each under its name.

    Args:
        state: of the app.
        policy_sha256: of the policy that it was judged by, which the owners may have logged.
    """
    count = f"{state.size} entr{'y' if state.size == 1 else 'ies'}"
    seen = (
        f"{state.witnessed} of {state.witnesses} witnesses saw it, {state.witness_threshold} must"
    )
    last = f", last at {_stamp(state.witnessed_at)}" if state.witnessed_at else ""
    yield "log", f"{state.log}, {count}; {seen}{last}"
    release = state.chosen
    if release is not None:
        commit = f", of commit {release.commit[:12]}" if release.commit else ""
        who = f"signed by {release.signed} of {state.owners} owners"
        yield "release", f"{state.app} {release.version}, entry {release.index}, {who}{commit}"
        notice = f" (notice of {span(state.notice)})" if state.notice else " (no notice)"
        yield (
            "known",
            f"since {_stamp(release.known_since)}, active since {_stamp(release.active_from)}{notice}",
        )
    frozen = {one.what: one for one in state.frozen}
    yield "frozen", "; ".join(f"{what}: {_frozen(frozen, what)}" for what in WHATS)
    yield "upgrades", _upgrades(state, over="code" in frozen)
    waiting = [one for one in state.releases if one.standing is Standing.WAITING]
    for one in waiting[-3:]:
        yield "coming", f"{one.version}, entry {one.index}, active from {_stamp(one.active_from)}"
    if state.announced:
        new = state.announced[-1]
        keys = (
            f"entry {new.index} announces {len(new.keys)} keys, {new.threshold} of which must sign"
        )
        yield "new owners", f"{keys}; this policy does not follow by itself"
    if state.policies:
        yield "policy", _policy(state, policy_sha256)
    for line in state.ignored[:3]:
        yield "not counted", line


def _frozen(frozen: Mapping[str, Frozen], what: str) -> str:
    one = frozen.get(what)
    if one is None:
        return "no"
    known = f", known since {_stamp(one.since)}" if one.since else ""
    return f"since entry {one.index}{known}"


def _upgrades(state: Governed, *, over: bool) -> str:
    if over:
        return "none: the code is frozen, whoever signs"
    notice = f", and {span(state.notice)} of notice" if state.notice else ", without notice"
    if state.one_decides:
        return f"one signer decides{notice}"
    return f"one signer alone cannot: {state.owner_threshold} of {state.owners} owners must sign{notice}"


def _policy(state: Governed, sha256: str) -> str:
    mine = [(index, version) for index, digest, version in state.policies if digest == sha256]
    index, _, version = state.policies[-1]
    if mine and mine[-1][0] == index:
        return f"this one is version {version} of the owners', entry {index}, their newest"
    newest = f"their newest is version {version}, entry {index}"
    if mine:
        return f"this one is version {mine[-1][1]} of the owners', entry {mine[-1][0]}; {newest}"
    return f"this one is none of the owners'; {newest}"


def _release(one: Logged) -> _ReleaseV1:
    return _ReleaseV1(
        id=one.id,
        index=one.index,
        version=one.version,
        commit=one.commit,
        signed=one.signed,
        known_since=_at(one.known_since),
        active_from=_at(one.active_from),
        standing=one.standing.value,
        why=one.why,
    )


def _at(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _stamp(at: datetime | None) -> str:
    return "nobody knows when" if at is None else stamp(at)
