"""The report on whatever evidence, as text, JSON and a page."""

import json
from collections.abc import Iterable

from fuzz.simulated import NOW, Case, nitro_case, pinned, quote_cases, report_cases
from fuzz.target import Target, must
from troth.cli.verify import html
from troth.render.json import report_json
from troth.render.text import report_text
from troth.verifier import appraise


def _run(data: bytes) -> None:
    case = _case(data[:4])
    report = appraise(
        data,
        policy=pinned(case.evidence),
        at=NOW,
        nonce=case.nonce,
        trust=case.roots,
        collateral=case.collateral,
    )
    text = report_text(report, verbose=True)
    must(text.replace("\n", "").isprintable(), "a report has a character that steers terminals")
    must(isinstance(json.loads(report_json(report)), dict), "a report is no JSON object")
    must("<script" not in html(report, data, command="troth verify").lower(), "a page has a script")


def _case(head: bytes) -> Case:
    """The one whose policy is for evidence of this kind, roughly."""
    if head.startswith(b"\x84"):
        return nitro_case()
    return quote_cases()[0] if head.endswith(b"\2\0") else report_cases()[1]


def _seeds() -> Iterable[bytes]:
    cases = (nitro_case(), quote_cases()[0], report_cases()[1])
    yield from (case.evidence for case in cases)


TARGET = Target(
    run=_run, seeds=_seeds, refuses=(), longest=8192, words=(b"\x1b[31m", b"<script>", b"\n", b"&")
)
