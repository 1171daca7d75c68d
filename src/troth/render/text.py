"""A report for a terminal: the verdict, what did not pass with its fix, and the count."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from troth.model.check import Check, Outcome
from troth.model.codes import Code
from troth.model.report import Report, Verdict
from troth.model.statement import Status
from troth.render import governed, tcb, words
from troth.render.escape import shorten, shorten_pair, visible
from troth.render.paint import Paint

WIDTH: Final = 100
_QUOTED: Final = re.compile(r"`[^`]*`")
_GLUE: Final = "\0"
_RULE: Final = 80  # where the exit code of the last line ends

_VERDICT_STYLE: Final = {
    Verdict.ACCEPTED: "good",
    Verdict.REJECTED: "bad",
    Verdict.UNDECIDED: "open",
    Verdict.ACCEPTABLE_WITH_WAIVERS: "waived",
    Verdict.MALFORMED: "bad",
}
_OUTCOME_STYLE: Final = {
    Outcome.PASSED: "good",
    Outcome.FAILED: "bad",
    Outcome.UNDECIDED: "open",
    Outcome.WAIVED: "waived",
}
_STATUS_STYLE: Final = {Status.ASSERTED: "good", Status.REFUTED: "bad", Status.UNKNOWN: "open"}
_SAID: Final = 21  # as wide as the longest, «asserted by hardware»
_ROW: Final = 13  # as wide as the longest name of a row on releases, and two spaces
_ORDER: Final = (Outcome.FAILED, Outcome.UNDECIDED, Outcome.WAIVED)


def report_text(
    report: Report, *, verbose: bool = False, colour: bool = False, width: int = WIDTH
) -> str:
    """The report as a person reads it, without a line end at the end.

    Args:
        report: what was judged.
        verbose: also list the checks that passed.
        colour: whether escape sequences may be written.
        width: columns for running text.
    """
    paint = Paint(colour)
    lines = [_first_line(report, paint), *_parts(report, paint)]
    if report.verdict is Verdict.ACCEPTED:
        lines += _success(report)
    every = words.every(report)
    if verbose:
        for name, one in every:
            lines += ["", *([paint("strong", f"— {name} —")] if name else []), *_tree(one, paint)]
    for name, one in every:
        for block in _blocks(one, paint, width, name):
            lines += ["", *block]
    notes = [note for _, one in every for note in one.notes]
    for told in (_governed(report, paint, width), _statements(report, paint)):
        block = list(told)
        lines += ["", *block] if block else []
    if notes:
        lines.append("")
        for note in dict.fromkeys(notes):
            lines += _clause("note", visible(note), paint, width)
    if (
        report.verdict is not Verdict.ACCEPTED
        or verbose
        or notes
        or report.statements
        or report.governed
    ):
        lines.append("")
    lines.append(_last_line(report, paint))
    return "\n".join(lines)


def _first_line(report: Report, paint: Paint) -> str:
    glyph, word = words.VERDICTS[report.verdict]
    head = paint(_VERDICT_STYLE[report.verdict], f"{glyph} {word}")
    return f"{head}   {' · '.join(visible(part) for part in words.headline(report))}"


def _parts(report: Report, paint: Paint) -> Iterator[str]:
    """The parts, and what binds each; nothing where the evidence came in one piece."""
    every = words.every(report)
    if len(every) == 1:
        return
    says = {part.name: part.says for part in report.parts}
    broad = max(len(name) for name, _ in every)
    for place, (name, one) in enumerate(every):
        verdict = words.own_verdict(one)
        glyph, word = words.VERDICTS[verdict]
        mark = paint(_VERDICT_STYLE[verdict], f"{glyph} {word}")
        branch = paint("faint", "└─" if place == len(every) - 1 else "├─")
        binds = says.get(name, report.says)
        title = one.platform_title or "unknown evidence"
        tail = f" · {visible(binds)}" if binds else ""
        yield f"  {branch} {visible(name).ljust(broad)}  {mark}  {title}{tail}"


def _statements(report: Report, paint: Paint) -> Iterator[str]:
    """What is said of the service, by whom."""
    broad = max((len(statement.name) for statement in report.statements), default=0)
    for statement in report.statements:
        style = _STATUS_STYLE[statement.status]
        who = f" by {statement.source}" if statement.source else ""
        said = paint(style, f"{statement.status}{who}".ljust(_SAID))
        yield f"  {visible(statement.name).ljust(broad)}  {said}  {visible(statement.why)}"


def _governed(report: Report, paint: Paint, width: int) -> Iterator[str]:
    """The state of the app in its log of releases."""
    if report.governed is None:
        return
    for name, text in governed.rows(report.governed, report.policy_sha256):
        label = f"  {name.ljust(_ROW)}"
        inside = textwrap.wrap(visible(text), max(width - len(label), 20)) or [""]
        yield f"{paint('strong', label)}{inside[0]}"
        yield from (f"{' ' * len(label)}{line}" for line in inside[1:])


def _success(report: Report) -> Iterator[str]:
    """What acceptance rests on, and how far it goes."""
    facts = []
    registers, sources = words.expected_by(report)
    if registers:
        facts.append(f"{', '.join(registers)} match {' and '.join(sources) or 'the policy'}")
    by_code = {c.code.id for c in report.checks if c.outcome is Outcome.PASSED}
    if "B101" in by_code:
        facts.append("your nonce")
    elif "R101" in by_code:
        facts.append(words.freshness(report))
    if "B201" in by_code:
        facts.append("your key")
    if "B301" in by_code:
        facts.append("bound to this session")
    if "M301" in by_code:
        facts.append("its event log")
    tcb = report.presented.tcb if report.presented else None
    if tcb is not None and tcb.status and tcb.date is not None:
        facts.append(f"TCB {tcb.status} of {tcb.date:%Y-%m-%d}, evaluation {tcb.evaluation_number}")
    if facts:
        yield f"  {' · '.join(visible(fact) for fact in facts)}"
    yield "  This says what runs, not that it is free of bugs."


def _tree(report: Report, paint: Paint) -> Iterator[str]:
    """Every check in the order of the steps, under its question."""
    for question, checks in words.by_question(report):
        yield paint("strong", question)
        for check in checks:
            glyph, _ = words.OUTCOMES[check.outcome]
            parts = [words.title(check)]
            if check.subject:
                parts.append(visible(check.subject))
            detail = check.why or check.presented
            if detail:
                parts.append(shorten(visible(detail)))
            mark = paint(_OUTCOME_STYLE[check.outcome], f"{glyph} {check.code.id}")
            yield f"  {mark}  {' · '.join(parts)}"


def _blocks(report: Report, paint: Paint, width: int, part: str) -> Iterator[list[str]]:
    """One block for each kind of finding that did not pass, the worst first."""
    for outcome in _ORDER:
        grouped: dict[str, list[Check]] = {}
        for check in report.checks:
            if check.outcome is outcome:
                grouped.setdefault(check.code.id, []).append(check)
        for checks in grouped.values():
            yield list(_block(report, checks, paint, width, part))
    for code in words.unexplained(report):
        yield list(_unanswered(code, paint, width, part))


def _block(
    report: Report, checks: list[Check], paint: Paint, width: int, part: str
) -> Iterator[str]:
    code, outcome = checks[0].code, checks[0].outcome
    _, word = words.OUTCOMES[outcome]
    head = paint(_OUTCOME_STYLE[outcome], f"{word}[{code.id}]")
    where = f" {visible(part)}" if part else ""
    yield f"{head}{where}: {paint('strong', words.title(checks[0]))}"
    told = {}
    for check in checks:
        yield from _pair(check, paint)
        told[check] = list(tcb.lines(report, check))
        bar = paint("faint", "│")
        yield from (f"   {bar}  {line}" for line in told[check])
    for why in dict.fromkeys(check.why for check in checks if check.why and not told[check]):
        yield from _clause("why", shorten(visible(why)), paint, width)
    if outcome is not Outcome.WAIVED:
        yield from _clause("fix", code.fix, paint, width)
    yield from _clause("more", f"troth explain {code.id}", paint, width)


def _pair(check: Check, paint: Paint) -> Iterator[str]:
    """What was presented above what was expected."""
    presented, expected = shorten_pair(visible(check.presented), visible(check.expected))
    if not (check.subject or presented or expected):
        return
    yield f"   {paint('faint', '╭─')} {visible(check.subject) or 'evidence'}"
    bar = paint("faint", "│")
    if presented:
        yield f"   {bar}  presented  {presented}"
    if expected:
        origin = f"   from {visible(check.source)}" if check.source else ""
        yield f"   {bar}  expected   {expected}{origin}"


def _unanswered(code: Code, paint: Paint, width: int, part: str) -> Iterator[str]:
    where = f" {visible(part)}" if part else ""
    head = paint("open", f"undecided[{code.id}]")
    yield f"{head}{where}: {paint('strong', 'this question was not answered')}"
    yield from _clause("why", f"no check told whether {words.passed_title(code)}", paint, width)
    yield from _clause("more", f"troth explain {code.id}", paint, width)


def _clause(key: str, text: str, paint: Paint, width: int) -> Iterable[str]:
    """`= fix:  …`, with later lines under the first word."""
    label = f"   = {key + ':':<5} "
    # A command to be copied stays on one line.
    glued = _QUOTED.sub(lambda match: match[0].replace(" ", _GLUE), text)
    wrapped = textwrap.wrap(
        glued, max(width - len(label), 30), break_long_words=False, break_on_hyphens=False
    )
    first, *rest = (line.replace(_GLUE, " ") for line in wrapped or [""])
    yield label.replace(f"{key}:", paint("key", f"{key}:"), 1) + first
    yield from (" " * len(label) + line for line in rest)


def _last_line(report: Report, paint: Paint) -> str:
    every = [one for _, one in words.every(report)]
    count = {outcome: sum(one.count(outcome) for one in every) for outcome in Outcome}
    counts = [
        f"{count[Outcome.PASSED]} passed",
        f"{count[Outcome.FAILED]} failed",
        f"{count[Outcome.UNDECIDED]} undecided",
    ]
    if waived := count[Outcome.WAIVED]:
        counts.append(f"{waived} waived")
    if missing := sum(len(words.unexplained(one)) for one in every):
        counts.append(f"{missing} not answered")
    left = " · ".join(counts)
    right = f"exit {report.verdict.exit_code}"
    return f"{left}{paint('faint', right.rjust(max(_RULE - len(left), len(right) + 3)))}"
