"""The whole verifier with the collateral of somebody else: it may be refused, and may say nothing new."""

from collections.abc import Iterable
from functools import cache

from fuzz.simulated import NOW, Case, pinned, quote_cases, report_cases
from fuzz.target import Target, must, same
from troth.model.collateral import Collateral
from troth.model.report import Report, Verdict
from troth.trust.collateral import freeze, load
from troth.verifier import appraise


def _judged(case: Case, collateral: Collateral) -> Report:
    return appraise(
        case.evidence,
        policy=pinned(case.evidence),
        at=NOW,
        nonce=case.nonce,
        trust=case.roots,
        collateral=collateral,
    )


@cache
def _cases() -> tuple[tuple[Case, Report], ...]:
    cases = (quote_cases()[0], quote_cases()[-1], report_cases()[0])
    ready = tuple((case, _judged(case, case.collateral)) for case in cases)
    must(all(r.verdict is Verdict.ACCEPTED for _, r in ready), "a seed is not accepted")
    return ready


def _run(data: bytes) -> None:
    collateral = load(data)
    for case, good in _cases():
        report = _judged(case, collateral)
        if report.verdict is Verdict.ACCEPTED:
            same(report.presented, good.presented, "what is accepted by other collateral")


def _seeds() -> Iterable[bytes]:
    yield from (freeze(case.collateral) for case, _ in _cases())
    yield freeze(Collateral(items=tuple(i for case, _ in _cases() for i in case.collateral.items)))


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=48 * 1024,
    words=(b'"early":true', b'"early":false', b"OutOfDate", b"UpToDate", b'"chain":""', b"Revoked"),
)
