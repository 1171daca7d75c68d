"""The parts of the page that show tables and trees: checks, measurements, the chain, what judged."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from troth.model.check import Check, Outcome
from troth.model.report import Report
from troth.model.roots import RootClass
from troth.render import governed, words
from troth.render.certificates import CertificateRow
from troth.render.escape import for_html
from troth.render.markup import Html, join, tag

TONES: Final = {
    Outcome.PASSED: "good",
    Outcome.FAILED: "bad",
    Outcome.UNDECIDED: "open",
    Outcome.WAIVED: "waived",
}
_WORST: Final = (Outcome.FAILED, Outcome.UNDECIDED, Outcome.WAIVED, Outcome.PASSED)
_WORD: Final = {Outcome.FAILED: "failed", Outcome.PASSED: "passed"}
_ENDS: Final = 8
_LONG: Final = 40
_REGISTER_CODES: Final = ("M101", "M201", "M202", "M203")


def hash_text(value: str, *, limit: int = 256) -> Html:
    """A value whole, its two ends standing out since people compare those; past `limit` it is cut."""
    if len(value) < _LONG or len(value) > limit or not value.isalnum():
        return tag("span", value, cls="hash", limit=limit)
    first, middle, last = value[:_ENDS], value[_ENDS:-_ENDS], value[-_ENDS:]
    return tag("span", tag("b", first), middle, tag("b", last), cls="hash")


def checks(report: Report) -> Iterator[Html]:
    """A fold for each question, open where something did not pass."""
    for question, found in words.by_question(report):
        worst = next(o for o in _WORST if any(c.outcome is o for c in found))
        tally = " · ".join(
            f"{count} {_WORD.get(outcome, outcome.value)}"
            for outcome in _WORST
            if (count := sum(c.outcome is outcome for c in found))
        )
        sign, _ = words.OUTCOMES[worst]
        summary = tag(
            "summary",
            tag("b", question),
            tag("span", f"{sign} {tally}", cls=f"tally {TONES[worst]}"),
        )
        inside = tag("div", [_check(check) for check in found], cls="in")
        yield tag("details", summary, inside, open=worst is not Outcome.PASSED)
    if missing := words.unexplained(report):
        rows = [tag("li", f"{code.id}: {words.passed_title(code)}") for code in missing]
        yield tag(
            "div", tag("h3", "Required and not answered"), tag("ul", rows), cls="card not open"
        )


def parts(report: Report) -> Html:
    """A row for each part: how it was judged alone, and what binds it to the others."""
    says = {part.name: part.says for part in report.parts}
    rows = []
    for name, one in words.every(report):
        sign, word = words.VERDICTS[words.own_verdict(one)]
        rows.append(
            tag(
                "tr",
                tag("th", name, scope="row"),
                tag("td", f"{sign} {word}"),
                tag("td", one.platform_title or "unknown evidence"),
                tag("td", says.get(name, report.says)),
            )
        )
    return tag("div", tag("table", rows), cls="scroll")


def statements(report: Report) -> Html:
    """A row for each statement: whether it holds, and who says so."""
    rows = [
        tag(
            "tr",
            tag("th", one.name.replace("_", " "), scope="row"),
            tag("td", f"{one.status}{f' by {one.source}' if one.source else ''}"),
            tag("td", one.why),
        )
        for one in report.statements
    ]
    return tag("div", tag("table", rows), cls="scroll")


def releases(report: Report) -> Html:
    """A row for each thing that the log of releases says."""
    if report.governed is None:
        return Html("")
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", text))
        for name, text in governed.rows(report.governed, report.policy_sha256)
    ]
    return tag("div", tag("table", rows), cls="scroll")


def _check(check: Check) -> Html:
    sign, word = words.OUTCOMES[check.outcome]
    went_wrong = check.outcome is not Outcome.PASSED
    subject = tag("span", f" · {check.subject}", cls="subject") if check.subject else Html("")
    name = tag("b", words.title(check)) if went_wrong else tag("span", words.title(check))
    return tag(
        "div",
        tag("span", sign, cls="mark", title=word),
        tag("div", name, subject),
        tag("span", tag("code", check.code.id), cls="code", title=check.code.slug),
        tag("div", _details(check), cls="more"),
        cls=f"check {TONES[check.outcome]}{' wrong' if went_wrong else ''}",
    )


def _details(check: Check) -> Html:
    rows: list[tuple[str, Html]] = []
    if check.presented:
        rows.append(("presented", hash_text(check.presented)))
    if check.expected and check.expected != check.presented:
        rows.append(("expected", hash_text(check.expected)))
    if check.source:
        rows.append(("expected by", tag("span", check.source)))
    if check.why:
        rows.append(("why", tag("span", check.why)))
    if check.outcome not in (Outcome.PASSED, Outcome.WAIVED):
        rows.append(("fix", _prose(check.code.fix)))
    return _definitions(rows) if rows else Html("")


def _prose(text: str) -> Html:
    """Running text of ours, in which backquotes mark what is typed."""
    parts = text.split("`")
    return tag(
        "span",
        [tag("code", p) if i % 2 else Html(for_html(p)) for i, p in enumerate(parts)],
    )


def _definitions(rows: Sequence[tuple[str, Html]]) -> Html:
    return tag("dl", [join([tag("dt", name), tag("dd", value)]) for name, value in rows])


def measurements(report: Report) -> Html:
    """Register, presented, expected, and who says so."""
    if report.presented is None:
        return Html("")
    found = {c.subject: c for c in report.checks if c.code.id in _REGISTER_CODES and c.subject}
    zero, rows = [], []
    for register, value in report.presented.registers.items():
        check = found.get(register)
        if check is None and not value.strip("0"):
            zero.append(register)
            continue
        rows.append(_register(register, value, check))
    head = tag(
        "thead",
        tag("tr", [tag("th", name, scope="col") for name in ("register", "value", "expected by")]),
    )
    table = tag("div", tag("table", head, tag("tbody", rows)), cls="card scroll")
    rest = tag("p", f"Zero and without an expectation: {', '.join(zero)}.", cls="small")
    return join([table, rest]) if zero else table


def _register(register: str, value: str, check: Check | None) -> Html:
    if check is None:
        sign, tone, told = "", "", Html(for_html("–"))
    else:
        sign, tone = words.OUTCOMES[check.outcome][0], TONES[check.outcome]
        told = tag("span", check.source or check.why or check.outcome.value)
    lines = [tag("div", hash_text(value))]
    if check is not None and check.outcome is Outcome.FAILED and check.expected:
        lines.append(tag("div", "expected", tag("br"), hash_text(check.expected), cls="small"))
    name = tag("th", tag("span", sign, cls=f"mark {tone}"), register, scope="row", cls="reg")
    return tag("tr", name, tag("td", lines), tag("td", told))


def chain(report: Report, certificates: Sequence[CertificateRow]) -> Html:
    """Leaf to root, with the instant marked on each certificate's validity."""
    items = []
    for row in certificates:
        valid = row.not_before <= report.at <= row.not_after
        pinned = _pinned(report, row)
        items.append(
            tag(
                "li",
                tag("h3", row.subject or "(no name)"),
                tag("div", f"{row.key}{pinned}", cls="small"),
                _validity(row, report.at),
                tag(
                    "div",
                    f"{words.rfc3339(row.not_before)} to {words.rfc3339(row.not_after)} "
                    f"({words.span(row.not_after - row.not_before)}), "
                    f"{'valid' if valid else 'not valid'} at the instant",
                    cls="small",
                ),
                tag("div", "sha-256 ", hash_text(row.fingerprint), cls="small"),
                cls="good" if valid else "bad",
            )
        )
    return tag("ol", items, cls="chain")


def _pinned(report: Report, row: CertificateRow) -> str:
    if row.fingerprint not in report.roots:
        return ""
    match report.root_class:
        case RootClass.VENDOR:
            return " · the vendor's root, pinned in troth"
        case RootClass.ADDED:
            return " · a root that you added"
        case RootClass.DEVELOPMENT:
            return " · a development root that you named"
        case None:
            return " · a trusted root"


def _validity(row: CertificateRow, at: datetime) -> Html:
    """A bar for the certificate's life and a mark where the instant lies; the words stand below it."""
    whole = (row.not_after - row.not_before).total_seconds() or 1.0
    share = (at - row.not_before).total_seconds() / whole
    place = min(max(share, 0.0), 1.0) * 100
    bar = tag("rect", x="0", y="4", width="100%", height="4", rx="2", cls="track")
    used = tag("rect", x="0", y="4", width=f"{place:.2f}%", height="4", rx="2", cls="now")
    mark = tag("rect", x=f"{place * 0.99:.2f}%", y="0", width="4", height="12", rx="2", cls="now")
    label = f"{place:.0f} % of its validity had passed"
    return tag("svg", bar, used, mark, role="img", aria_label=label)


def facts(report: Report) -> Html:
    """The five things that a verdict is a function of, and who judged."""
    rows: list[tuple[str, Html]] = [
        ("subject", tag("span", report.subject)),
        ("sha-256", hash_text(report.subject_sha256)),
        ("platform", tag("span", report.platform_title or "not recognised")),
        ("policy", tag("span", report.policy)),
        ("policy sha-256", hash_text(report.policy_sha256)),
        (
            "instant",
            tag("span", words.rfc3339(report.at) + (", chosen by you" if report.as_of else "")),
        ),
        ("class of root", tag("span", report.root_class or "the chain ends at no trusted root")),
        ("roots trusted", join([tag("div", hash_text(root)) for root in report.roots])),
        ("collateral", tag("span", ", ".join(report.collateral) or "none is needed")),
    ]
    if report.event_log:
        rows.append(("event log sha-256", hash_text(report.event_log)))
    return tag("div", _definitions(rows), cls="card")
