"""Acceptance is decided in one place, and nothing but a clean answer to every question is a yes."""

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.forge import document, judge

from troth.errors import Misuse
from troth.model.check import Check, Outcome, stamp
from troth.model.codes import TABLE, find
from troth.model.report import Rejected, Undecided, Verdict, decide
from troth.model.verified import Verified, seal

CODES = st.sampled_from(sorted(TABLE.values(), key=lambda code: code.id))
CHECKS = st.lists(st.builds(Check, code=CODES, outcome=st.sampled_from(Outcome)), max_size=12)


@given(checks=CHECKS, required=st.lists(CODES, max_size=6))
def test_only_a_clean_answer_is_accepted(checks: list[Check], required: list[Any]) -> None:
    verdict = decide(checks, required)
    passed = {c.code.id for c in checks if c.outcome is Outcome.PASSED}
    clean = all(c.outcome is Outcome.PASSED for c in checks)
    complete = bool(required) and {c.id for c in required} <= passed
    assert (verdict is Verdict.ACCEPTED) == (clean and complete)
    if any(c.outcome is Outcome.FAILED for c in checks):
        assert verdict in (Verdict.REJECTED, Verdict.MALFORMED)
    assert (verdict.exit_code == 0) == (verdict is Verdict.ACCEPTED)


@given(checks=CHECKS)
def test_nothing_required_is_nothing_accepted(checks: list[Check]) -> None:
    assert decide(checks, []) is not Verdict.ACCEPTED


def test_exit_codes_differ() -> None:
    assert {v: v.exit_code for v in Verdict} == {
        Verdict.ACCEPTED: 0,
        Verdict.REJECTED: 1,
        Verdict.MALFORMED: 3,
        Verdict.UNDECIDED: 4,
        Verdict.ACCEPTABLE_WITH_WAIVERS: 6,
    }


def test_verified_is_not_made_by_hand() -> None:
    evidence, trusted = document()
    report = judge(evidence, trusted)
    assert report.presented is not None
    with pytest.raises(Misuse):
        Verified(report=report, claims=report.presented, seal=object())
    rejected = judge(evidence, trusted, nonce=bytes(32))
    with pytest.raises(Misuse):
        seal(rejected)
    assert seal(report).claims.measurement("pcr0") == "01" * 48


def test_verified_keeps_the_claims_that_were_judged() -> None:
    evidence, trusted = document()
    verified = seal(judge(evidence, trusted))
    with pytest.raises(Misuse):
        replace(verified, claims=replace(verified.claims, instance="another"))
    with pytest.raises(Misuse):
        replace(verified, report=judge(evidence, trusted, nonce=bytes(32)))
    with pytest.raises(Misuse):
        seal(replace(verified.report, presented=None))
    with pytest.raises(FrozenInstanceError):
        verified.claims = verified.claims  # type: ignore[misc]


@given(checks=CHECKS, required=st.lists(CODES, max_size=6), more=CHECKS)
def test_no_further_finding_makes_it_better(
    checks: list[Check], required: list[Any], more: list[Check]
) -> None:
    """But for one that passes and answers a question that was open."""
    worse = [check for check in more if check.outcome is not Outcome.PASSED]
    if worse:
        assert decide([*checks, *worse], required) is not Verdict.ACCEPTED
    if decide(checks, required) in (Verdict.REJECTED, Verdict.MALFORMED):
        assert decide([*checks, *more], required) in (Verdict.REJECTED, Verdict.MALFORMED)


def test_a_report_counts_and_names_what_is_missing() -> None:
    evidence, trusted = document()
    report = judge(evidence, trusted, nonce=bytes(32))
    assert report.count(Outcome.PASSED) == len(report.checks) - 1
    assert report.count(Outcome.FAILED) == 1
    assert report.count(Outcome.UNDECIDED) == report.count(Outcome.WAIVED) == 0
    left = replace(
        report, checks=tuple(c for c in report.checks if c.code is not report.required[3])
    )
    assert left.missing() == (report.required[3],)


@pytest.mark.parametrize(
    ("outcome", "error", "exit_code"),
    [
        (Outcome.FAILED, Rejected, 1),
        (Outcome.UNDECIDED, Undecided, 4),
        (Outcome.WAIVED, Undecided, 4),
    ],
)
def test_a_verdict_as_an_error_says_why(
    outcome: Outcome, error: type[Rejected | Undecided], exit_code: int
) -> None:
    evidence, trusted = document()
    report = judge(evidence, trusted)
    worse = replace(report, checks=(report.checks[1]._replace(outcome=outcome), *report.checks[2:]))
    raised = error(worse)
    assert raised.exit_code == exit_code
    assert raised.report is worse
    code = report.checks[1].code
    waived = outcome is Outcome.WAIVED
    assert str(raised) == f"{worse.verdict}: " + (
        "see the report" if waived else f"{code.id} {code.title}"
    )


def test_the_table_of_codes() -> None:
    for code in TABLE.values():
        assert find(code.id.lower()) is code
        assert find(code.slug) is code
        assert code.title and code.meaning and code.fix
        assert not code.title.endswith(".")
    assert len({code.slug for code in TABLE.values()}) == len(TABLE)
    assert find("X999") is None


def test_an_instant_is_printed_to_the_second() -> None:
    assert stamp(datetime(2026, 11, 23, 3, 10, 9, 999_999, tzinfo=UTC)) == "2026-11-23 03:10:09Z"
    assert stamp(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01 00:00:00Z"
