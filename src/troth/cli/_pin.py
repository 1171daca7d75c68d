"""A policy out of what is there now: of genuine evidence, and of an event log that replays to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from troth.model.check import Outcome, Waiver
from troth.model.codes.fresh import R101
from troth.model.codes.policy import P103
from troth.model.report import Rejected, Report
from troth.policy import device, says

if TYPE_CHECKING:
    from troth.model.claims import Claims
    from troth.model.collateral import Collateral
    from troth.model.roots import Root
    from troth.policy import Policy
    from troth.policy.requirements import Requirements


def pinned(
    evidence: bytes,
    *,
    base: "Policy",
    name: str,
    event_log: bytes | None,
    nonce: bytes | None,
    trust: "Sequence[Root]",
    collateral: "Collateral",
    at: datetime,
    as_of: bool,
) -> "Policy":
    """The base with the registers of this evidence, and the events of its log where these stand for one.

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

    Raises:
        Rejected: the evidence is not genuine, its log does not replay, or the base is not met.
    """
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
        )

    bare = replace(base, registers={}, requirements=_without_events(base))
    first = judge(bare, frozenset({Waiver.MEASUREMENT}))
    claims = first.presented
    if claims is None:
        raise Rejected(first)
    registers = {name: frozenset({claims.registers[name]}) for name in claims.identity}
    wanted = _with_words(bare, claims)
    if registers:
        wanted = replace(wanted, registers={claims.platform: registers})
    # Registers that are pinned need no events, so only now a log is asked for what it must say.
    report = judge(wanted)
    if report.presented is None or not _settled(report):
        raise Rejected(report)
    return replace(
        _with_events(wanted, report.presented),
        name=name,
        roots_allow=frozenset({report.root_class} if report.root_class else ()),
        unreviewed=True,
    )


def _settled(report: Report) -> bool:
    """Whether all is good, but for a time that such evidence does not have."""
    claims = report.presented
    # Quotes and reports have no time of their own, and no nonce of ours: they are pinned at any age.
    open_codes = {P103} | ({R101} if claims is not None and claims.timestamp is None else set())
    return not report.missing() and all(
        check.outcome is Outcome.PASSED or check.code in open_codes for check in report.checks
    )


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


def _with_events(policy: "Policy", claims: "Claims") -> "Policy":
    """Events stand for their registers, which also hold what differs from machine to machine."""
    names = {name for names in claims.covers.values() for name in names}
    if not names:
        return policy
    platform = claims.platform
    registers = {n: v for n, v in policy.registers[platform].items() if n not in claims.covers}
    asked = policy.asks(platform)
    if platform == device.PLATFORM:
        said = {name: frozenset(claims.texts[name]) for name in names}
        asked = replace(
            asked,
            driver_version=said.get("driver_version"),
            vbios_version=said.get("vbios_version"),
        )
    else:
        words = {name: frozenset({claims.events[name]}) for name in sorted(names)}
        asked = replace(asked, events=words)
    return replace(
        policy,
        registers={platform: registers} if registers else {},
        requirements={**policy.requirements, platform: asked},
    )
