"""Success is a value that you don't make by accident."""

from dataclasses import dataclass
from typing import Final

from troth.errors import Misuse
from troth.model.claims import Claims
from troth.model.report import Report, Verdict

_SEAL: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Evidence that was accepted, and the only way to its claims.

    Attributes:
        report: how it was judged; its verdict is `accepted`.
        claims: what the evidence says.
    """

    report: Report
    claims: Claims
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL or self.report.verdict is not Verdict.ACCEPTED:
            raise Misuse("only troth.verify makes this value")
        if self.claims is not self.report.presented:  # as `dataclasses.replace` would have it
            raise Misuse("these claims are not the ones that were judged")


def seal(report: Report) -> Verified:
    """Makes the value out of an accepted report; for `troth.verifier` alone.

    Raises:
        Misuse: the report is not one of acceptance, or has no claims.
    """
    if report.presented is None:
        raise Misuse("a report without claims cannot be accepted")
    return Verified(report=report, claims=report.presented, seal=_SEAL)
