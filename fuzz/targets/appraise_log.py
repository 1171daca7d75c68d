"""The whole verifier with somebody's event log beside a quote: it may be refused, and may say nothing new."""

import json
from collections.abc import Iterable
from functools import cache

from tests.verifier.logged import LOG, NOW, PINNED, pki, policy, quote

from fuzz.target import Target, must, same
from troth.model.collateral import Collateral
from troth.model.report import Report, Verdict
from troth.policy import Policy
from troth.verifier import appraise

_LOG = json.dumps(LOG).encode()


@cache
def _ready() -> tuple[bytes, Policy, Report]:
    evidence = quote(*LOG)
    wanted = policy(evidence, PINNED)
    good = _judge(evidence, wanted, _LOG)
    must(good.verdict is Verdict.ACCEPTED, "the seed is not accepted")
    return evidence, wanted, good


@cache
def _collateral() -> Collateral:
    return pki().collateral()


def _judge(evidence: bytes, wanted: Policy, log: bytes | None = None) -> Report:
    return appraise(
        evidence,
        policy=wanted,
        at=NOW,
        nonce=bytes(range(64)),
        trust=pki().roots(),
        collateral=_collateral(),
        event_log=log,
    )


def _run(data: bytes) -> None:
    evidence, wanted, good = _ready()
    reports = [_judge(evidence, wanted, data)]
    if data.startswith(b"{"):  # an answer that carries both
        reports.append(_judge(data, wanted))
    for report in reports:
        if report.verdict is Verdict.ACCEPTED:
            must(report.presented is not None, "nothing is accepted")
            same(report.presented, good.presented, "what is accepted by another log")


def _seeds() -> Iterable[bytes]:
    evidence, _, _ = _ready()
    yield _LOG
    yield json.dumps({"quote": evidence.hex(), "event_log": _LOG.decode()}).encode()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(),
    longest=24 * 1024,
    words=(
        b'"event":',
        b'"digest":""',
        b'"imr": 3',
        b"system-ready",
        b"boot-mr-done",
        b"},{",
        b'"version":2',
    ),
)
