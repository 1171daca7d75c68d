"""What `troth watch` finds: stored evidence judged now, under the next evaluation number, and later.

The folder of the caller's that is looked at:

    policy.toml         the policy of all evidence that has none of its own
    roots.pem           roots to trust beside the vendors', if any
    collateral.json     endorsements: this file, or a folder `collateral`, or both
    evidence/NAME.ext   evidence or bundles, of any extension but these three:
    evidence/NAME.toml  the policy of that one
    evidence/NAME.nonce the nonce that it answered, in hex
    evidence/NAME.log   its event log
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from troth.cli import _collateral, _expect
from troth.cli._console import exists, read_source, read_text
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.check import Outcome, Waiver
from troth.model.collateral import NONE as NO_COLLATERAL
from troth.model.collateral import Collateral
from troth.model.evidence import Evidence
from troth.model.report import Report, Verdict
from troth.model.roots import Root
from troth.policy import Policy
from troth.verifier import appraise, bundle
from troth.verifier.bundle import Bundle
from troth.wire.text import from_hex

OWN_POLICY: Final = ".toml"
NONCE: Final = ".nonce"
EVENT_LOG: Final = ".log"
_MAX_CHANGES: Final = 64
_TICK: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """One verdict in short.

    Attributes:
        verdict: the answer.
        codes: number and slug of each check that failed, or else of each that is undecided.
        status: the vendor's word for the TCB, or empty.
        number: evaluation number of the documents used, or None.
    """

    verdict: Verdict
    codes: tuple[str, ...] = ()
    status: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One piece of stored evidence.

    Attributes:
        name: its file's name.
        platform: its platform's name, or empty.
        now: how it stands.
        next: how it stands under the next evaluation number; None where nothing of it is at hand.
        until: the first end of something after which it stands otherwise; None where none is known.
        then: how it stands after that.
        notes: what the report says beside its checks, or why the evidence cannot be read.
    """

    name: str
    platform: str
    now: Stand
    next: Stand | None = None
    until: datetime | None = None
    then: Stand | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All of it.

    Attributes:
        at: the instant of judgement.
        evidence: each piece, by name.
        rows: the endorsements, the first to end first.
        ends: what else ends when: policies, and dates by which built-in roots are to be reviewed.
        troubles: what could not be done, such as fetching; the rest was judged without it.
        notes: what a person should know.
    """

    at: datetime
    evidence: tuple[Watched, ...]
    rows: tuple[_collateral.Row, ...] = ()
    ends: tuple[tuple[str, datetime], ...] = ()
    troubles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The worst of all: rejected, malformed, could not be done, undecided, with waivers, good."""
        codes = {watched.now.verdict.exit_code for watched in self.evidence}
        codes |= {Unavailable.exit_code} if self.troubles else set()
        return next((code for code in (1, 3, 5, 4, 6) if code in codes), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One piece of evidence as it lies there, with what its owner expects of it."""

    name: str
    data: bytes
    policy: Policy
    nonce: bytes | None
    event_log: bytes | None = None
    collateral: Collateral = NO_COLLATERAL
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What lies in the folder."""

    stored: tuple[Stored, ...]
    roots: tuple[Root, ...] = ()
    collateral: Collateral = field(default_factory=Collateral)


def read(folder: Path) -> Folder:
    """Reads the folder.

    Raises:
        Unavailable: it or a file in it cannot be read.
        Misuse: it holds no evidence, evidence without a policy, or a policy that is none.
        Malformed: collateral, roots or a nonce that cannot be read.
    """
    from troth.trust import load_roots

    place = folder / "evidence"
    try:
        names = sorted(p for p in place.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise Unavailable(
            f"cannot read {place}: {error.strerror}",
            fix="put evidence there, and a policy.toml beside that folder",
        ) from None
    shared = folder / "policy.toml"
    common = _policy(shared) if exists(shared) else None
    beside = (OWN_POLICY, NONCE, EVENT_LOG)
    stored = [_stored(p, common) for p in names if p.suffix not in beside]
    if not stored:
        raise Misuse(f"{place} holds no evidence", fix="put evidence or bundles there")
    roots = folder / "roots.pem"
    endorsed = [folder / name for name in ("collateral.json", "collateral")]
    collateral = _collateral.load(path for path in endorsed if exists(path))
    for one in stored:  # what bundles bring ends some day, as the rest does
        collateral = collateral + one.collateral
    return Folder(
        stored=tuple(stored),
        roots=load_roots(roots) if exists(roots) else (),
        collateral=collateral,
    )


def look(
    folder: Folder, *, at: datetime, as_of: bool = False, waive: frozenset[Waiver] = frozenset()
) -> tuple[Watched, ...]:
    """Judges each piece of evidence now, under the next evaluation number, and after each end.

    Args:
        folder: what lies there.
        at: the instant.
        as_of: whether that is a claim of the caller's about the past.
        waive: expectations given up by name.
    """
    early = _next(folder.collateral)
    changes = _changes(folder, at)
    found = []
    for stored in folder.stored:
        if stored.trouble:
            stand = Stand(verdict=Verdict.MALFORMED)
            found.append(Watched(name=stored.name, platform="", now=stand, notes=(stored.trouble,)))
            continue
        asked = _Asked(stored=stored, folder=folder, as_of=as_of, waive=waive)
        report = asked.judge(at, folder.collateral)
        now = _stand(report)
        every = sorted({*changes, *_of_the_log(report, stored.policy, at)})
        later = ((end, _stand(asked.judge(end + _TICK, folder.collateral))) for end in every)
        until, then = next(
            ((end, stand) for end, stand in later if stand.verdict is not now.verdict), (None, None)
        )
        found.append(
            Watched(
                name=stored.name,
                platform=report.platform,
                now=now,
                next=None if early is None else _stand(asked.judge(at, early)),
                until=until,
                then=then,
                notes=report.notes,
            )
        )
    return tuple(found)


def _of_the_log(report: Report, policy: Policy, at: datetime) -> Iterator[datetime]:
    """When the log of releases is too old, and when a release becomes active."""
    state = report.governed
    if state is None or policy.release is None:
        return
    changes = [release.active_from for release in state.releases]
    if state.witnessed_at is not None:
        with contextlib.suppress(OverflowError):  # past the end of the calendar
            changes.append(state.witnessed_at + policy.release.max_checkpoint_age)
    yield from (change for change in changes if change is not None and change > at)


def ends(
    folder: Folder, platforms: Collection[str] | None = None
) -> tuple[tuple[str, datetime], ...]:
    """What ends beside endorsements: policies and roots, each once, the first first.

    Args:
        folder: what lies there.
        platforms: whose built-in roots; None is all.
    """
    from troth.trust import vendor_roots

    policies = {
        f"policy {stored.policy.name}": stored.policy.expires
        for stored in folder.stored
        if stored.policy.expires is not None
    }
    roots = {
        f"root {root.source}": root.review_by
        for root in vendor_roots()
        if root.review_by is not None and (platforms is None or root.platform in platforms)
    }
    added = {
        f"root {root.sha256[:16]} in {root.source}": root.not_after
        for root in folder.roots
        if root.not_after is not None
    }
    return tuple(sorted((policies | roots | added).items(), key=lambda pair: pair[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One question that is asked again and again."""

    stored: Stored
    folder: Folder
    as_of: bool
    waive: frozenset[Waiver]

    def judge(self, at: datetime, collateral: Collateral) -> Report:
        stored = self.stored
        packed = (
            replace(bundle.unpack(stored.data), collateral=NO_COLLATERAL)
            if bundle.looks_like(stored.data)
            else Bundle(evidence=stored.data)
        )
        packed = replace(packed, event_log=stored.event_log)
        if stored.nonce is None and not self.waive and not self.as_of:
            return bundle.appraise_stored(
                packed,
                name=stored.name,
                policy=stored.policy,
                now=at,
                trust=self.folder.roots,
                collateral=collateral,
            )
        return appraise(
            Evidence(data=packed.evidence, name=stored.name),
            policy=stored.policy,
            at=at,
            nonce=stored.nonce,
            trust=self.folder.roots,
            collateral=collateral,
            event_log=packed.event_log,
            receipts=packed.receipts,
            waive=self.waive,
            as_of=self.as_of,
        )


def _stand(report: Report) -> Stand:
    worst = Outcome.FAILED if report.count(Outcome.FAILED) else Outcome.UNDECIDED
    codes = [f"{c.code.id} {c.code.slug}" for c in report.checks if c.outcome is worst]
    tcb = report.presented.tcb if report.presented else None
    return Stand(
        verdict=report.verdict,
        codes=tuple(dict.fromkeys(codes)),
        status=tcb.status if tcb else "",
        number=tcb.evaluation_number if tcb else None,
    )


def _next(collateral: Collateral) -> Collateral | None:
    """The collateral of the day on which what is early now has become the standard; or None.

    Platforms take the document with the highest evaluation number among those that are current.
    """
    rows = _collateral.rows(Collateral(items=tuple(i for i in collateral.items if i.early)))
    early = [row.item for row in rows if row.said is not None and row.said.number is not None]
    if not early:
        return None
    standard = tuple(item for item in collateral.items if not item.early)
    return Collateral(items=(*standard, *(replace(item, early=False) for item in early)))


def _changes(folder: Folder, at: datetime) -> Sequence[datetime]:
    """The instants after which something that a verdict rests on has ended."""

    def all_ends() -> Iterator[datetime]:
        for row in _collateral.rows(folder.collateral):
            if row.said is not None and not row.item.early:
                yield row.said.ends
                yield from filter(None, (row.said.chain_ends,))
        for _, end in ends(folder):
            yield end

    last = datetime.max.replace(tzinfo=UTC) - _TICK
    return sorted({end for end in all_ends() if at <= end <= last})[:_MAX_CHANGES]


def _stored(path: Path, common: Policy | None) -> Stored:
    own, nonce = path.with_suffix(OWN_POLICY), path.with_suffix(NONCE)
    policy = _policy(own) if exists(own) else common
    if policy is None:
        raise Misuse(
            f"{path} has no policy",
            fix=f"write {own.name} beside it, or a policy.toml for all of them",
        )
    data = read_source(str(path))
    trouble = ""
    packed = Bundle(evidence=data)
    if bundle.looks_like(data):
        try:
            packed = bundle.unpack(data)
        except Malformed as error:
            trouble = str(error)
    log = path.with_suffix(EVENT_LOG)
    return Stored(
        name=path.name,
        data=data,
        policy=policy,
        nonce=from_hex(read_text(nonce).strip(), field=str(nonce)) if exists(nonce) else None,
        event_log=_expect.event_log(log) if exists(log) else packed.event_log,
        collateral=packed.collateral,
        trouble=trouble,
    )


def _policy(path: Path) -> Policy:
    return Policy.from_toml(read_text(path), source=str(path))
