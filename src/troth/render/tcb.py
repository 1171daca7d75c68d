"""What the vendor's levels say of a platform, part by part: for text and for JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from troth.model.check import Check
from troth.model.report import Report
from troth.model.tcb import Tcb
from troth.render.escape import visible
from troth.render.words import rfc3339

_CODES: Final = ("T101", "T102", "T103")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortV1:
    """One component that is below a level, for JSON."""

    component: str
    has: int
    needs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingV1:
    """One part of a platform, for JSON."""

    part: str
    status: str
    date: str | None
    advisories: tuple[str, ...]
    short: tuple[ShortV1, ...]
    better: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbV1:
    """What the vendor's levels say, for JSON."""

    status: str
    date: str | None
    advisories: tuple[str, ...]
    evaluation_number: int | None
    findings: tuple[FindingV1, ...]


def v1(tcb: Tcb | None) -> TcbV1 | None:
    """The JSON form; None where nobody looked the platform up."""
    if tcb is None:
        return None
    return TcbV1(
        status=tcb.status,
        date=None if tcb.date is None else rfc3339(tcb.date),
        advisories=tcb.advisories,
        evaluation_number=tcb.evaluation_number,
        findings=tuple(
            FindingV1(
                part=part.part,
                status=part.status,
                date=None if part.date is None else rfc3339(part.date),
                advisories=part.advisories,
                short=tuple(
                    ShortV1(component=s.component, has=s.has, needs=s.needs) for s in part.short
                ),
                better=part.better,
                fix=part.fix,
            )
            for part in tcb.findings
        ),
    )


def lines(report: Report, check: Check) -> Iterator[str]:
    """For a status that was not admitted: each part to blame, and below it what it is short of.

    Nothing for other checks, or where the report has no levels; the check's own words then stand.
    """
    tcb = report.presented.tcb if report.presented else None
    if tcb is None or check.code.id not in _CODES:
        return
    admitted = check.expected.split(" or ")
    for part in tcb.findings:
        if part.status in admitted:
            continue
        since = f", level of {part.date:%Y-%m-%d}" if part.date else ""
        yield f"{visible(part.part)} is {visible(part.status)}{since}"
        for short in part.short:
            yield f"  {visible(short.component)}: {short.has}, needs {short.needs}"
        if part.better:
            how = f": {part.fix}" if part.fix else ""
            yield visible(f"  to reach {part.better}{how}")
