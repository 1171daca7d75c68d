"""The report: all checks, and the one function that decides acceptance."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final, assert_never

from troth.errors import TrothError
from troth.model.check import Check, Outcome
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.governed import Governed
from troth.model.roots import RootClass
from troth.model.statement import Statement


class Verdict(StrEnum):
    """The answer. Only `ACCEPTED` is a yes."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "undecided"
    ACCEPTABLE_WITH_WAIVERS = "acceptable-with-waivers"
    MALFORMED = "malformed"

    @property
    def exit_code(self) -> int:
        """What the command line exits with; acceptance is the only 0."""
        match self:
            case Verdict.ACCEPTED:
                return 0
            case Verdict.REJECTED:
                return 1
            case Verdict.MALFORMED:
                return 3
            case Verdict.UNDECIDED:
                return 4
            case Verdict.ACCEPTABLE_WITH_WAIVERS:
                return 6
        assert_never(self)


def decide(checks: Iterable[Check], required: Iterable[Code]) -> Verdict:
    """The one place where acceptance is decided.

    A failed check rejects. Otherwise an undecided check, *or a required question that no check
    answered*, leaves it undecided: a step that was skipped can never end as acceptance. A waiver
    has its own verdict.
    """
    by_outcome: dict[Outcome, set[str]] = {outcome: set() for outcome in Outcome}
    for check in checks:
        by_outcome[check.outcome].add(check.code.id)
    if by_outcome[Outcome.FAILED]:
        form = {code for code in by_outcome[Outcome.FAILED] if code.startswith("F")}
        return Verdict.MALFORMED if form else Verdict.REJECTED
    wanted = {code.id for code in required}
    answered = by_outcome[Outcome.PASSED] | by_outcome[Outcome.WAIVED]
    if by_outcome[Outcome.UNDECIDED] or not wanted or not wanted <= answered:
        return Verdict.UNDECIDED
    if by_outcome[Outcome.WAIVED]:
        return Verdict.ACCEPTABLE_WITH_WAIVERS
    return Verdict.ACCEPTED


_WORST_FIRST: Final = (
    Verdict.MALFORMED,
    Verdict.REJECTED,
    Verdict.UNDECIDED,
    Verdict.ACCEPTABLE_WITH_WAIVERS,
    Verdict.ACCEPTED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A further part of evidence that came in several, and how it was judged.

    Attributes:
        name: such as `gpu-0`.
        says: what binds it to the others, in words.
        report: its own.
    """

    name: str
    says: str
    report: "Report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was judged, by what, at which instant, and everything that was found.

    Attributes:
        subject: the evidence's name as given.
        subject_sha256: digest of the evidence's bytes.
        platform: name of the platform, or an empty string where none was recognised.
        platform_title: for people, such as `AWS Nitro`.
        policy: the policy's name.
        policy_sha256: digest of the policy's canonical form.
        at: the instant of judgement.
        as_of: whether the caller chose the instant (it is then the caller's claim).
        root_class: class of the root that the chain ends at, or None where it ends at none.
        roots: fingerprints of all roots that were trusted.
        collateral: names and digests of the collateral used; Nitro has none.
        checks: every finding, in the order of the steps.
        required: questions that must be answered for acceptance.
        presented: what the evidence says; not to be believed unless the verdict is accepted.
        notes: what a reader should know that is no check.
        event_log: SHA-256 of the event log that was given beside the evidence, or empty.
        parts: the reports of further parts, where the evidence came in several: this one is then of
            the part that leads, and its verdict is the worst of all.
        lead: name of the leading part, or empty.
        says: what binds the leading part to the others, or empty.
        statements: what is said of a service, by whom, and whether it holds.
        governed: what the log of releases says that the policy asks for; None where none was read.
    """

    subject: str
    subject_sha256: str
    platform: str
    platform_title: str
    policy: str
    policy_sha256: str
    at: datetime
    as_of: bool
    root_class: RootClass | None
    roots: tuple[str, ...]
    collateral: tuple[str, ...]
    checks: tuple[Check, ...]
    required: tuple[Code, ...]
    presented: Claims | None
    notes: tuple[str, ...] = field(default=())
    event_log: str = ""
    parts: tuple[Joined, ...] = ()
    lead: str = ""
    says: str = ""
    statements: tuple[Statement, ...] = ()
    governed: Governed | None = None

    @property
    def verdict(self) -> Verdict:
        """What `decide` says of the checks, and the worst of that and of every part's verdict."""
        found = {decide(self.checks, self.required)}
        found |= {part.report.verdict for part in self.parts}
        return next(verdict for verdict in _WORST_FIRST if verdict in found)

    def count(self, outcome: Outcome) -> int:
        """How many checks came out so."""
        return sum(check.outcome is outcome for check in self.checks)

    def missing(self) -> tuple[Code, ...]:
        """Required questions that no check answered; a bug, or a check that was removed."""
        seen = {check.code.id for check in self.checks}
        return tuple(code for code in self.required if code.id not in seen)


class _Judged(TrothError):  # noqa: N818 - the base of two verdicts
    """A verdict that is not acceptance, with its report."""

    def __init__(self, report: Report) -> None:
        every = (report, *(part.report for part in report.parts))
        found = [check for one in every for check in one.checks]
        worst = [c for c in found if c.outcome in (Outcome.FAILED, Outcome.UNDECIDED)]
        summary = "; ".join(dict.fromkeys(f"{c.code.id} {c.code.title}" for c in worst))
        super().__init__(f"{report.verdict}: {summary or 'see the report'}")
        self.report = report


class Rejected(_Judged):
    """Well-formed, and not genuine or not what the policy wants."""

    exit_code: ClassVar[int] = 1


class Undecided(_Judged):
    """Could not be settled: an expectation, collateral or a root was not given. Also carries waivers."""

    exit_code: ClassVar[int] = 4
