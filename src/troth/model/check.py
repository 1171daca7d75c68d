"""A check: one question asked of the evidence, with what was presented and what was expected."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from troth.model.codes import Code


class Outcome(StrEnum):
    """What came of a check. Not looked at is `UNDECIDED`, never `PASSED`."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    WAIVED = "waived"


class Waiver(StrEnum):
    """The closed list of expectations that a caller may give up by name."""

    MEASUREMENT = "measurement"
    FRESHNESS = "freshness"
    KEY = "key"


class Check(
    NamedTuple
):  # some thirty are made for each verdict; a dataclass takes four times as long
    """One finding.

    Attributes:
        code: which question.
        outcome: what came of it.
        subject: what was looked at, in the format's own words, such as `pcr0`.
        presented: what the evidence holds, as text.
        expected: what was required, as text.
        source: where the expectation comes from, such as a policy's name.
        why: one clause that a person needs to understand this outcome.
    """

    code: Code
    outcome: Outcome
    subject: str = ""
    presented: str = ""
    expected: str = ""
    source: str = ""
    why: str = ""


# As `Check(…)`, in half the time; a member of an enumeration is looked up slowly, too.
_check: Final = tuple.__new__
_PASSED: Final = Outcome.PASSED
_FAILED: Final = Outcome.FAILED
_UNDECIDED: Final = Outcome.UNDECIDED
_WAIVED: Final = Outcome.WAIVED


def stamp(at: datetime) -> str:
    """An instant in UTC as checks print it, to the second."""
    return at.isoformat(" ", "seconds")[:19] + "Z"  # a third of the time of `strftime`


def passed(
    code: Code,
    subject: str = "",
    *,
    presented: str = "",
    expected: str = "",
    source: str = "",
    why: str = "",
) -> Check:
    """A check that passed."""
    return _check(Check, (code, _PASSED, subject, presented, expected, source, why))


def failed(
    code: Code,
    subject: str = "",
    *,
    presented: str = "",
    expected: str = "",
    source: str = "",
    why: str = "",
) -> Check:
    """A check that failed."""
    return _check(Check, (code, _FAILED, subject, presented, expected, source, why))


def undecided(
    code: Code,
    subject: str = "",
    *,
    presented: str = "",
    expected: str = "",
    source: str = "",
    why: str = "",
) -> Check:
    """A check that could not be settled, or that nobody gave an expectation for."""
    return _check(Check, (code, _UNDECIDED, subject, presented, expected, source, why))


def waived(
    code: Code,
    subject: str = "",
    *,
    presented: str = "",
    expected: str = "",
    source: str = "",
    why: str = "",
) -> Check:
    """A check whose expectation the caller gave up by name."""
    return _check(Check, (code, _WAIVED, subject, presented, expected, source, why))
