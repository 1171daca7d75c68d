"""Tables of the page on platform and event log: how far behind the vendor's levels, and what was logged."""

from typing import Final

from troth.model.check import Check
from troth.model.report import Report
from troth.model.tcb import Finding, Tcb
from troth.render.html_parts import TONES, hash_text
from troth.render.markup import Html, join, tag
from troth.render.words import OUTCOMES

_HEAD: Final = (
    "part",
    "status",
    "level of",
    "what is short",
    "what brings it there",
    "advisories",
)


def table(tcb: Tcb) -> Html:
    """Part, status, date, what is short, what fixes it, advisories."""
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in _HEAD]))
    rows = [_row(part) for part in tcb.findings]
    number = (
        ""
        if tcb.evaluation_number is None
        else f" by TCB evaluation data number {tcb.evaluation_number}"
    )
    all_told = tag("p", f"All parts together: {tcb.status}{number}.", cls="small")
    return join([tag("div", tag("table", head, tag("tbody", rows)), cls="card scroll"), all_told])


def _row(part: Finding) -> Html:
    short = [
        tag("div", f"{s.component}: {s.has}, needs {s.needs}", cls="small") for s in part.short
    ]
    remedy = [tag("div", part.fix)] if part.fix else []
    remedy += [tag("div", f"then {part.better}", cls="small")] if part.better else []
    return tag(
        "tr",
        tag("th", part.part, scope="row", cls="reg"),
        tag("td", part.status),
        tag("td", f"{part.date:%Y-%m-%d}" if part.date else "–"),
        tag("td", short or [tag("span", "–")]),
        tag("td", remedy or [tag("span", "–")]),
        tag(
            "td", [tag("div", name, cls="small") for name in part.advisories] or [tag("span", "–")]
        ),
    )


def events(report: Report) -> Html:
    """What the event log says, by name, and who expected it."""
    if report.presented is None:
        return Html("")
    found = {c.subject.removeprefix("events."): c for c in report.checks if c.code.id == "M304"}
    names = ("event", "value", "expected by")
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    rows = [_event(name, value, found.get(name)) for name, value in report.presented.events.items()]
    return tag("div", tag("table", head, tag("tbody", rows)), cls="card scroll")


def _event(name: str, value: str, check: Check | None) -> Html:
    sign, tone = ("", "") if check is None else (OUTCOMES[check.outcome][0], TONES[check.outcome])
    mark = tag("span", sign, cls=f"mark {tone}")
    return tag(
        "tr",
        tag("th", mark, name, scope="row", cls="reg"),
        tag("td", hash_text(value)),
        tag("td", check.source if check else "–"),
    )
