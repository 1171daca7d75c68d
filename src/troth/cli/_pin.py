"""A policy out of what is there now: of genuine evidence, and of an event log that replays to it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from troth.model.check import Outcome, Waiver
from troth.model.codes.fresh import R101
from troth.model.codes.policy import P103
from troth.model.report import Rejected, Report
from troth.policy import device, says

if TYPE_CHECKING:
    from troth.model.channel import Binding
    from troth.model.claims import Claims
    from troth.model.collateral import Collateral
    from troth.model.composite import Composite
    from troth.model.roots import Root
    from troth.policy import Policy
    from troth.policy.requirements import Requirements


_SIGNERS: Final = {"nitro": ("pcr8",)}


def pinned(
    evidence: "bytes | Composite",
    *,
    base: "Policy",
    name: str,
    event_log: bytes | None,
    nonce: bytes | None,
    trust: "Sequence[Root]",
    collateral: "Collateral",
    at: datetime,
    as_of: bool,
    channel: "Binding | None" = None,
) -> "Policy":
    """The base with the registers of this evidence, and the events of its log where these stand for one.

    Of evidence in parts every part is pinned, and counted.

    Args:
        evidence: to be pinned.
        base: what else is required of it, now and later; the registers and events in it are replaced.
        name: of the policy.
        event_log: beside the evidence, or None.
        nonce: what the evidence must carry, or None.
        trust: roots added by name.
        collateral: endorsements.
        at: the instant of judgement.
        as_of: whether it is a claim about the past.
        channel: how firmly the way to a service is tied to it, which the policy then takes.

    Raises:
        Rejected: the evidence is not genuine, its log does not replay, or the base is not met.
    """
    from troth.model.channel import Binding
    from troth.verifier import appraise

    def judge(policy: "Policy", waive: frozenset[Waiver] = frozenset()) -> Report:
        return appraise(
            evidence,
            policy=policy,
            at=at,
            trust=trust,
            collateral=collateral,
            event_log=event_log,
            nonce=nonce,
            waive=waive,
            as_of=as_of,
            channel=channel,
        )

    bare = replace(
        base,
        registers={},
        requirements=_without_events(base),
        channel=channel or Binding.SESSION,
        parts={},
    )
    first = judge(bare, frozenset({Waiver.MEASUREMENT}))
    others = Counter(part.report.platform for part in first.parts)
    wanted = replace(bare, parts=dict(others)) if all(others) else bare
    for report in _every(first):
        if report.presented is None:
            raise Rejected(first)
        wanted = _with_registers(_with_words(wanted, report.presented), report.presented)
    # Registers that are pinned need no events, so only now a log is asked for what it must say.
    report = judge(wanted)
    if not all(_settled(one) for one in _every(report)):
        raise Rejected(report)
    for one in _every(report):
        wanted = _with_events(wanted, one.presented)
    classes = {one.root_class for one in _every(report) if one.root_class is not None}
    return replace(wanted, name=name, roots_allow=frozenset(classes), unreviewed=True)


def _every(report: Report) -> "list[Report]":
    return [report, *(part.report for part in report.parts)]


def _settled(report: Report) -> bool:
    """Whether all is good, but for a time that such evidence does not have."""
    claims = report.presented
    # Quotes and reports have no time of their own, and no nonce of ours: they are pinned at any age.
    open_codes = {P103} | ({R101} if claims is not None and claims.timestamp is None else set())
    return (
        claims is not None
        and not report.missing()
        and all(
            check.outcome is Outcome.PASSED or check.code in open_codes for check in report.checks
        )
    )


def _with_registers(policy: "Policy", claims: "Claims") -> "Policy":
    """With what this part shows beside what another of its platform does."""
    if not claims.identity:
        return policy
    known = policy.registers.get(claims.platform, {})
    names = (*claims.identity, *_signers(claims))
    shown = {n: known.get(n, frozenset()) | {claims.registers[n]} for n in names}
    return replace(policy, registers={**policy.registers, claims.platform: {**known, **shown}})


def _signers(claims: "Claims") -> list[str]:
    """Registers that say who signed what runs, where it is signed: more than its identity, never instead."""
    return [n for n in _SIGNERS.get(claims.platform, ()) if claims.registers.get(n, "").strip("0")]


def _without_events(base: "Policy") -> "dict[str, Requirements]":
    return {
        name: replace(asked, events={}, driver_version=None, vbios_version=None)
        for name, asked in base.requirements.items()
    }


def _with_words(base: "Policy", claims: "Claims") -> "Policy":
    """With what a token says and a policy must list, where the base does not."""
    words, numbers = says.needed(claims)
    if not words and not numbers:
        return base
    asked = base.asks(claims.platform)
    asked = replace(asked, says=words | dict(asked.says), exact=numbers | dict(asked.exact))
    return replace(base, requirements={**base.requirements, claims.platform: asked})


def _with_events(policy: "Policy", claims: "Claims | None") -> "Policy":
    """Events stand for their registers, which also hold what differs from machine to machine."""
    names = set() if claims is None else {n for names in claims.covers.values() for n in names}
    if claims is None or not names:
        return policy
    platform = claims.platform
    registers = {
        n: v for n, v in policy.registers.get(platform, {}).items() if n not in claims.covers
    }
    asked = policy.asks(platform)
    if platform == device.PLATFORM:
        driver, vbios = (
            (known or frozenset()) | frozenset(claims.texts[name]) if name in names else known
            for name, known in (
                ("driver_version", asked.driver_version),
                ("vbios_version", asked.vbios_version),
            )
        )
        asked = replace(asked, driver_version=driver, vbios_version=vbios)
    else:
        words = {n: asked.events.get(n, frozenset()) | {claims.events[n]} for n in sorted(names)}
        asked = replace(asked, events={**asked.events, **words})
    kept = {n: v for n, v in policy.registers.items() if n != platform}
    return replace(
        policy,
        registers={**kept, platform: registers} if registers else kept,
        requirements={**policy.requirements, platform: asked},
    )
