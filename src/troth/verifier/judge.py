"""The numbered steps from evidence to report. No clock, no network, no environment: all are arguments."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from troth.errors import Malformed, Misuse
from troth.model.check import Check, Outcome, Waiver, failed, passed, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.binding import B401
from troth.model.codes.form import F101, F102
from troth.model.codes.measurement import M301, M302
from troth.model.collateral import NONE, Collateral
from troth.model.evidence import Evidence
from troth.model.platform import Platform, Replayed
from troth.model.report import Rejected, Report, Undecided, Verdict
from troth.model.roots import Root, RootClass
from troth.model.verified import Verified, seal
from troth.platforms import detect
from troth.policy import Policy
from troth.policy import appraise as against
from troth.policy.appraise import Expectation
from troth.trust import development_by_digest, vendor_roots
from troth.verifier import receipt
from troth.verifier.receipt import Receipt

MIN_NONCE = 8
MAX_NONCE = 1024


def verify(
    evidence: bytes | Evidence,
    *,
    policy: Policy,
    at: datetime,
    nonce: bytes | None = None,
    key: bytes | None = None,
    binding: bytes | None = None,
    trust: Sequence[Root] = (),
    collateral: Collateral = NONE,
    event_log: bytes | None = None,
    receipts: Sequence[Receipt] = (),
    as_of: bool = False,
) -> Verified:
    """Accepts evidence, or raises.

    Args:
        evidence: as the platform makes it; base64 text and known carriers' framing are unwrapped.
        policy: what is required; one that expects no image accepts nothing.
        at: the instant of judgement, with its zone.
        nonce: the caller's own, 8 to 1024 bytes; the evidence must carry it.
        key: the public key that the evidence must bind, as the enclave put it in (for troth's agent:
            DER of its SubjectPublicKeyInfo).
        binding: the 64 bytes that `user_data` must be, made with `troth.verifier.binding.bind`.
        trust: roots that the caller adds by name, beside the pinned vendor roots; never called a
            vendor's.
        collateral: endorsements, see `troth.trust`; evidence brings what it can itself. One object
            serves any number of calls, and its signatures are checked once.
        event_log: what the guest logged of its boot, where the platform has registers that are
            extended; it must then replay to them. A dstack guest agent's answer brings its own.
        receipts: what must have been signed by the identity key in the evidence.
        as_of: whether `at` is a claim of the caller about the past; it is then printed as one.

    Raises:
        Rejected: genuine or not, it fails a check; carries the report.
        Undecided: a question is open; carries the report.
        Malformed: it is not evidence of a known form.
        Misuse: contradictory or impossible expectations, or a root that is called a vendor's and is
            not pinned.

    Does not verify: that the code is free of bugs, or that the platform's hardware is intact.
    """
    report, error = judged(
        evidence,
        policy=policy,
        at=at,
        expectation=Expectation(nonce=nonce, key=key, binding=binding),
        trust=trust,
        collateral=collateral,
        event_log=event_log,
        receipts=receipts,
        as_of=as_of,
    )
    if error is not None:
        raise error
    match report.verdict:
        case Verdict.ACCEPTED:
            return seal(report)
        case Verdict.REJECTED | Verdict.MALFORMED:
            raise Rejected(report)
        case _:
            raise Undecided(report)


def appraise(
    evidence: bytes | Evidence,
    *,
    policy: Policy,
    at: datetime,
    nonce: bytes | None = None,
    key: bytes | None = None,
    binding: bytes | None = None,
    trust: Sequence[Root] = (),
    collateral: Collateral = NONE,
    event_log: bytes | None = None,
    receipts: Sequence[Receipt] = (),
    waive: frozenset[Waiver] = frozenset(),
    as_of: bool = False,
    extra: Sequence[Check] = (),
) -> Report:
    """The report on evidence, for people and pages; never raises on bad evidence.

    Args:
        evidence: as for `verify`, and so the rest but for these two.
        policy: what is required.
        at: the instant of judgement.
        nonce: the caller's own.
        key: the public key that must be bound.
        binding: the 64 bytes that `user_data` must be.
        trust: roots added by name.
        collateral: endorsements.
        event_log: what the guest logged.
        receipts: what must have been signed inside.
        waive: expectations given up by name; the verdict is then never `accepted`.
        as_of: whether the instant is a claim about the past.
        extra: findings of the caller's about how the evidence came here, such as a replay. They can
            only make the verdict worse: those that passed are dropped.

    Raises:
        Misuse: contradictory or impossible expectations, or a root that is called a vendor's and is
            not pinned.
    """
    expectation = Expectation(nonce=nonce, key=key, binding=binding, waive=waive)
    report, _ = judged(
        evidence,
        policy=policy,
        at=at,
        expectation=expectation,
        trust=trust,
        collateral=collateral,
        event_log=event_log,
        receipts=receipts,
        as_of=as_of,
        extra=extra,
    )
    return report


def judged(
    evidence: bytes | Evidence,
    *,
    policy: Policy,
    at: datetime,
    expectation: Expectation,
    trust: Sequence[Root],
    collateral: Collateral,
    receipts: Sequence[Receipt],
    as_of: bool,
    event_log: bytes | None = None,
    extra: Sequence[Check] = (),
) -> tuple[Report, Malformed | None]:
    """The numbered steps: the report, and the error that says why there was nothing to judge."""
    if not isinstance(evidence, Evidence):
        evidence = Evidence(data=evidence)
    at = utc(at)
    sensible(policy, expectation)  # (1) the questions make sense
    pinned = vendor_roots()
    _not_called_vendors(trust, pinned)
    platform: Platform | None = None
    form: Check
    document, error = None, None
    try:  # (2) what kind is it, and what does it say
        found = detect(evidence.data)
        if found is None:
            error = Malformed("is no evidence that troth reads", field=evidence.name, offset=0)
            form = failed(F102, evidence.name, why=str(error))
        else:
            platform, bare, framing = found
            if event_log is None and platform.log_in is not None:
                event_log = platform.log_in(evidence.data)
            evidence = Evidence(data=bare, name=evidence.name, framing=framing)
            document = platform.parse(bare)
            form = passed(F101, evidence.name, presented=f"{len(bare)} bytes")
    except Malformed as malformed:
        error = malformed
        form = failed(F101, evidence.name, why=str(malformed))

    checks, root_class, claims = [form], None, None
    roots: tuple[Root, ...] = ()
    used: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    needed: tuple[Code, ...] = (F101,)
    if platform is not None and document is not None:
        roots = _roots(platform, policy, (*trust, *pinned))  # (3) whom do we trust
        genuine = platform.genuine(document, roots, collateral, at)  # (4) is it genuine
        claims = platform.claims(document, genuine.tcb)  # (5) what does it say in the common words
        used, notes = genuine.collateral, genuine.notes
        root_class = genuine.root_class
        checks += genuine.checks
        if event_log is not None:  # (6) does the log tell how its registers came about
            replayed = _replayed(platform, claims, event_log, policy)
            claims = replace(claims, events=replayed.events, covers=replayed.covers)
            checks += replayed.checks
        checks += against.checks(  # (7) does that meet the policy and this question
            policy,
            claims,
            expectation,
            root_class=root_class,
            at=at,
            logged=event_log is not None,
        )
        checks += [receipt.check(claims, item) for item in receipts]  # (8) did its key sign this
        needed = (F101, *platform.required, *against.required(policy, expectation, platform.name))
        needed += (B401,) if receipts else ()
        needed += (M301, M302) if event_log is not None else ()
    checks += [check for check in extra if check.outcome is not Outcome.PASSED]
    report = Report(
        subject=evidence.name,
        subject_sha256=evidence.sha256,
        platform=platform.name if platform else "",
        platform_title=platform.title if platform else "unknown evidence",
        policy=policy.name,
        policy_sha256=policy.sha256,
        at=at,
        as_of=as_of,
        root_class=root_class,
        roots=tuple(dict.fromkeys(root.sha256 for root in roots)),
        collateral=used,
        checks=tuple(checks),
        required=needed,
        presented=claims,
        notes=(*_notes(platform, evidence), *notes),
        event_log="" if event_log is None else hashlib.sha256(event_log).hexdigest(),
    )
    return report, error


def _roots(platform: Platform, policy: Policy, known: Sequence[Root]) -> tuple[Root, ...]:
    """The roots that count for a platform: the caller's by name, the policy's, the vendors'."""
    if policy.development_roots:
        known = (*known, *development_by_digest(policy.development_roots, source=policy.name))
    return tuple(root for root in known if root.platform == platform.name)


def _replayed(platform: Platform, claims: Claims, log: bytes, policy: Policy) -> Replayed:
    if platform.replay is None:
        why = f"{platform.title} has no register to which a log is replayed"
        return Replayed(checks=(undecided(M301, "event log", why=why),))
    return platform.replay(claims, log, policy.registers.get(platform.name, ()))


def _notes(platform: Platform | None, evidence: Evidence) -> tuple[str, ...]:
    notes = (
        [f"{platform.title} has no {missing}" for missing in platform.has_no] if platform else []
    )
    if evidence.framing:
        notes.append(f"removed around the evidence: {evidence.framing}")
    return tuple(notes)


def _not_called_vendors(trust: Sequence[Root], pinned: Sequence[Root]) -> None:
    """A caller's root is never called a vendor's: only what is pinned here is, field by field."""
    for root in trust:
        if root.root_class == RootClass.VENDOR and root not in pinned:
            raise Misuse(
                f"the root {root.sha256} is passed as a vendor's, and is none that troth pins",
                fix="pass it with the class added",
            )


def utc(at: datetime) -> datetime:
    """The instant as reports print it, whatever zone the caller wrote it in.

    Raises:
        Misuse: it has no zone, or is no instant in UTC.
    """
    if at.utcoffset() is None:
        raise Misuse("the instant has no time zone", fix="write it like 2026-11-23T03:10:00Z")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise Misuse(f"the instant {at.isoformat()} lies outside the years 1 to 9999") from None


def sensible(policy: Policy, expectation: Expectation) -> None:
    """That the caller's question can be asked at all.

    Raises:
        Misuse: an expectation that nothing could meet, or that contradicts another.
    """
    nonce = expectation.nonce
    if nonce is not None and not MIN_NONCE <= len(nonce) <= MAX_NONCE:
        raise Misuse(
            f"the nonce is {len(nonce)} bytes, should be {MIN_NONCE} to {MAX_NONCE}",
            fix="draw 32 random bytes for each question",
        )
    if expectation.binding is not None and len(expectation.binding) != 64:
        raise Misuse(f"a binding is 64 bytes, not {len(expectation.binding)}")
    if expectation.key is not None and not expectation.key:
        raise Misuse("the expected key is empty")
    both = {
        Waiver.MEASUREMENT: bool(policy.registers)
        or any(asked.events for asked in policy.requirements.values()),
        Waiver.FRESHNESS: nonce is not None,
        Waiver.KEY: expectation.key is not None,
    }
    for waiver, expected in both.items():
        if expected and waiver in expectation.waive:
            raise Misuse(
                f"the {waiver} is both expected and waived",
                fix=f"leave `--waive {waiver}` away, or the expectation",
            )
