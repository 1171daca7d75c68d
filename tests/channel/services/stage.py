"""How the tests of services judge what was found: with the verdict that the command line would give."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import troth
from troth.channel.services import Found, Service
from troth.channel.services.simulate._loopback import Loopback
from troth.channel.web import Web
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.collateral import NONE, Collateral
from troth.model.report import Report
from troth.model.roots import Root
from troth.model.statement import Status
from troth.policy import Policy

NONCE = bytes(range(1, 33))
OLD = bytes(range(2, 34))


def now() -> datetime:
    return datetime.now(UTC)


def found(service: Service, server: Loopback, nonce: bytes = NONCE, **given: Any) -> Found | None:
    with Web(server.url, seconds=10, **({"dialler": server.dial} | given)) as web:
        return service.ask(web, nonce)


def asked(service: Service, server: Loopback, nonce: bytes = NONCE) -> Found:
    answer = found(service, server, nonce)
    assert answer is not None
    return answer


def pinned(
    platform: str, registers: Mapping[str, bytes], *, channel: Binding = Binding.KEY, **more: Any
) -> Policy:
    values = {name: frozenset({value.hex()}) for name, value in registers.items()}
    return Policy(name="pinned", registers={platform: values}, channel=channel, **more)


def judged(
    answer: Found,
    *,
    policy: Policy,
    trust: Sequence[Root],
    collateral: Collateral = NONE,
    **given: Any,
) -> Report:
    arguments = {"at": now(), "nonce": answer.nonce, "channel": answer.binding} | given
    return troth.appraise(
        answer.composite, policy=policy, trust=trust, collateral=collateral, **arguments
    )


def wrong(report: Report) -> dict[str, Outcome]:
    """The codes of checks that did not pass, in all parts."""
    reports = (report, *(joined.report for joined in report.parts))
    return {
        check.code.id: check.outcome
        for one in reports
        for check in one.checks
        if check.outcome in (Outcome.FAILED, Outcome.UNDECIDED)
    }


def said(answer: Found) -> dict[str, Status]:
    return {one.name: one.status for one in answer.statements}
