"""What the tests of Tinfoil share: machines that sign, a policy that expects their image, verdicts."""

from collections.abc import Callable
from typing import Any

from tests.platforms.dcap.made import NOW, PKI, pinned

import troth
from troth.channel.services import Found, tinfoil
from troth.channel.web import Web
from troth.model.channel import Binding
from troth.model.report import Report
from troth.policy import Policy

NONCE = bytes(range(100, 132))


def quote(report_data: bytes, **fields: bytes) -> bytes:
    """A TD's quote over these 64 bytes."""
    return PKI.quote(fields={"reportdata": report_data} | fields)


def of_image(*, channel: Binding = Binding.KEY, parts: dict[str, int] | None = None) -> Policy:
    """What expects the TD of `quote`."""
    expected = pinned(quote(bytes(64))).registers
    return Policy(name="image", registers=expected, channel=channel, parts=parts or {})


def ask(url: str, nonce: bytes = NONCE) -> Found:
    with Web(url, seconds=10) as web:
        found = tinfoil.ask(web, nonce)
    assert found is not None
    return found


def judged(found: Found, policy: Policy | None = None, **changes: Any) -> Report:
    """The verdict on what a host showed."""
    arguments = {
        "policy": policy or of_image(),
        "at": NOW,
        "nonce": found.nonce,
        "trust": PKI.roots(),
        "collateral": PKI.collateral() + found.collateral,
        "channel": found.binding,
    } | changes
    return troth.appraise(found.composite, **arguments)


def failing(report: Report) -> set[str]:
    return {str(check.code.id) for check in report.checks if check.outcome == "failed"}


Attest = Callable[[bytes], bytes]
