"""The numbered steps from one piece of evidence to its report. No clock, no network: all are arguments."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from troth.errors import Malformed, Misuse
from troth.model.check import Check, Outcome, Waiver, failed, passed, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.binding import B401
from troth.model.codes.form import F101, F102
from troth.model.codes.measurement import M301, M302
from troth.model.codes.policy import P107
from troth.model.collateral import Collateral
from troth.model.evidence import Evidence
from troth.model.platform import Platform, Replayed
from troth.model.report import Report
from troth.model.roots import Root, RootClass
from troth.platforms import detect
from troth.policy import Policy, device
from troth.policy import appraise as against
from troth.policy.appraise import Expectation
from troth.trust import development_by_digest, vendor_roots
from troth.verifier import receipt
from troth.verifier.receipt import Receipt

MIN_NONCE = 8
MAX_NONCE = 1024


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
    part: bool = False,
    keyed: Root | None = None,
) -> tuple[Report, Malformed | None]:
    """The numbered steps: the report, and the error that says why there was nothing to judge.

    What a release in a log answers stays open here: `verifier.released` asks that of all parts together.

    `part` is whether this is one of several, which `verifier.composite` counts. `keyed` is then the
    one key that may have signed it, because another part vouches for that: no other root counts.
    """
    if not isinstance(evidence, Evidence):
        evidence = Evidence(data=evidence)
    at = utc(at)
    sensible(policy, expectation)  # (1) the questions make sense
    pinned = vendor_roots()
    _not_called_vendors(trust, pinned)
    platform, document, error = None, None, None
    form: Check
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
        roots = _roots(platform, policy, (*trust, *pinned), keyed)  # (3) whom do we trust
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
        checks += (
            () if part else _alone(platform, evidence.name, document)
        )  # (9) may it stand alone
        needed = (F101, *platform.required, *against.required(policy, expectation, platform.name))
        needed += _also(receipts, event_log)
    if not part and policy.parts:
        checks.append(failed(P107, "parts", presented="none", expected=counted(policy.parts)))
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


def _alone(platform: Platform, name: str, document: Any) -> tuple[Check, ...]:
    return () if platform.among is None else platform.among({name: document})


def _also(receipts: Sequence[Receipt], event_log: bytes | None) -> tuple[Code, ...]:
    """What must be answered because of what was given beside the evidence."""
    return ((B401,) if receipts else ()) + ((M301, M302) if event_log is not None else ())


def counted(parts: Mapping[str, int]) -> str:
    """How many of what, in words."""
    return ", ".join(f"{count} × {name}" for name, count in sorted(parts.items())) or "none"


def _roots(
    platform: Platform, policy: Policy, known: Sequence[Root], keyed: Root | None
) -> tuple[Root, ...]:
    """The roots that count for a platform: the caller's by name, the policy's, the vendors'."""
    if keyed is not None:
        return (replace(keyed, platform=platform.name),)
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
        or policy.release is not None
        or any(a.events or device.names_image(a) for a in policy.requirements.values()),
        Waiver.FRESHNESS: nonce is not None,
        Waiver.KEY: expectation.key is not None,
    }
    for waiver, expected in both.items():
        if expected and waiver in expectation.waive:
            raise Misuse(
                f"the {waiver} is both expected and waived",
                fix=f"leave `--waive {waiver}` away, or the expectation",
            )
