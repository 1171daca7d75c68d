"""Acceptance is decided in one place, and nothing but a clean answer to every question is a yes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.forge import document, judge

from troth.errors import Misuse
from troth.model.check import Check, Outcome
from troth.model.codes import TABLE, find
from troth.model.report import Verdict, decide
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


def test_the_table_of_codes() -> None:
    for code in TABLE.values():
        assert find(code.id.lower()) is code
        assert find(code.slug) is code
        assert code.title and code.meaning and code.fix
        assert not code.title.endswith(".")
    assert len({code.slug for code in TABLE.values()}) == len(TABLE)
    assert find("X999") is None
