"""The two ways in: `verify` gives a value or raises, `appraise` gives the report."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.check import Check, Waiver, failed
from troth.model.codes.form import F101
from troth.model.collateral import NONE, Collateral
from troth.model.composite import Composite, Part
from troth.model.evidence import Evidence
from troth.model.report import Rejected, Report, Undecided, Verdict
from troth.model.roots import Root
from troth.model.verified import Verified, seal
from troth.platforms import assemble
from troth.policy import Policy
from troth.policy.appraise import Expectation
from troth.verifier.composite import logged, of_others, together
from troth.verifier.judge import judged
from troth.verifier.receipt import Receipt


def verify(
    evidence: bytes | Evidence | Composite,
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
    channel: Binding | None = None,
) -> Verified:
    """Accepts evidence, or raises.

    Args:
        evidence: as the platform makes it; base64 text and known carriers' framing are unwrapped. What
            comes in several parts is judged part by part, and together.
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
        channel: how firmly the way to a service is tied to this evidence, where there is a way; the
            policy says how firm it must be.

    Raises:
        Rejected: genuine or not, it fails a check; carries the report.
        Undecided: a question is open; carries the report.
        Malformed: it is not evidence of a known form.
        Misuse: contradictory or impossible expectations, or a root that is called a vendor's and is
            not pinned.

    Does not verify: that the code is free of bugs, or that the platform's hardware is intact.
    """
    report, error = examined(
        evidence,
        policy=policy,
        at=at,
        expectation=Expectation(nonce=nonce, key=key, binding=binding),
        trust=trust,
        collateral=collateral,
        event_log=event_log,
        receipts=receipts,
        as_of=as_of,
        channel=channel,
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
    evidence: bytes | Evidence | Composite,
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
    channel: Binding | None = None,
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
        channel: how firmly the way to a service is tied to this evidence.

    Raises:
        Misuse: contradictory or impossible expectations, or a root that is called a vendor's and is
            not pinned.
    """
    expectation = Expectation(nonce=nonce, key=key, binding=binding, waive=waive)
    report, _ = examined(
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
        channel=channel,
    )
    return report


def examined(
    evidence: bytes | Evidence | Composite,
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
    channel: Binding | None = None,
) -> tuple[Report, Malformed | None]:
    """The report, whether the evidence came in one piece or in several, and the error if it has no form."""
    composite, error = None, None
    if isinstance(evidence, Composite):
        composite, evidence = evidence, Evidence(data=evidence.lead.evidence)
    else:
        evidence = evidence if isinstance(evidence, Evidence) else Evidence(data=evidence)
        try:
            composite = assemble(evidence.data)
            # A token beside which the policy counts an enclave: the one that made the token's key.
            if composite is None and "sgx" in policy.parts:
                from troth.platforms.tokens import inner

                composite = inner.composite(evidence.data, collateral)
            # What came in a file was made before anybody knew the caller's nonce.
            composite = None if composite is None else of_others(composite)
        except Malformed as malformed:
            error = malformed
            extra = (*extra, failed(F101, evidence.name, why=str(malformed)))
    if composite is None and channel is not None:
        composite = Composite(parts=(Part(name=evidence.name, evidence=evidence.data, says=""),))
    if composite is None:
        report, unread = judged(
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
        (report,) = logged([report], policy=policy, collateral=collateral)
        return report, error or unread
    report, unread = together(
        composite,
        policy=policy,
        at=at,
        expectation=expectation,
        trust=trust,
        collateral=collateral,
        event_log=event_log,
        receipts=receipts,
        as_of=as_of,
        extra=extra,
        channel=channel,
    )
    named = replace(report, subject=evidence.name, subject_sha256=evidence.sha256)
    return named, error or unread
