"""Reports in words: hostile text is spelled out, nothing is loaded, and the JSON keeps to its schema."""

import json
import re
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.forge import NONCE, document, judge, policy

import troth
from troth.model.check import Outcome, Waiver
from troth.model.codes import TABLE
from troth.model.report import Report, Verdict
from troth.render.escape import for_html, visible
from troth.render.html import Appendix, report_html
from troth.render.json import error_json, report_json
from troth.render.text import report_text
from troth.render.words import unexplained

SCHEMA = json.loads(files("troth.render").joinpath("schema/report-v1.json").read_text("utf-8"))
HOSTILE = "\x1b[2J\x1b]0;x\x07\u202egood\u2066\r\n<script>alert(1)</script>\"'&\x00\x9b31m"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]")


def reports() -> dict[Verdict, Report]:
    evidence, trusted = document()
    good = judge(evidence, trusted)
    found = [
        good,
        judge(evidence, trusted, nonce=NONCE[::-1]),
        judge(evidence, trusted, policy=troth.Policy(name="none")),
        judge(
            evidence,
            trusted,
            policy=troth.Policy(name="none"),
            waive=frozenset({Waiver.MEASUREMENT}),
        ),
        judge(b"junk", trusted),
    ]
    return {report.verdict: report for report in found}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_in_every_form(verdict: Verdict) -> None:
    report = reports()[verdict]
    plain = json.loads(report_json(report))
    jsonschema.validate(plain, SCHEMA)
    assert plain["exit_code"] == verdict.exit_code
    assert ("claims" in plain and plain["claims"] is not None) == (verdict is Verdict.ACCEPTED)
    text = report_text(report, verbose=True)
    assert text.splitlines()[-1].endswith(f"exit {verdict.exit_code}")
    for check in report.checks:
        if check.outcome in (Outcome.FAILED, Outcome.UNDECIDED):
            assert check.code.id in text
    page = report_html(report)
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_the_first_line_says_development_and_as_of() -> None:
    report = reports()[Verdict.ACCEPTED]
    from troth.model.roots import RootClass

    development = replace(report, root_class=RootClass.DEVELOPMENT, as_of=True)
    first = report_text(development).splitlines()[0]
    assert "development" in first
    assert "as of" in first
    assert "development" not in report_text(report).splitlines()[0]


def test_hostile_text_is_spelled_out() -> None:
    good = reports()[Verdict.REJECTED]
    checks = tuple(
        c._replace(
            subject=HOSTILE, presented=HOSTILE, expected=HOSTILE, why=HOSTILE, source=HOSTILE
        )
        for c in good.checks
    )
    report = replace(good, checks=checks, subject=HOSTILE, policy=HOSTILE, notes=(HOSTILE,))
    assert not UNSAFE.search(report_text(report, verbose=True))
    page = report_html(
        report, Appendix(evidence=b"<b>", fields=[(HOSTILE, HOSTILE)], command=HOSTILE)
    )
    assert "<script" not in page
    assert not UNSAFE.search(page)
    plain = report_json(report)
    assert plain.isascii()
    assert json.loads(plain)["subject"]["name"] == HOSTILE


@given(text=st.text())
def test_visible_text_controls_nothing(text: str) -> None:
    assert not UNSAFE.search(visible(text, limit=10_000).replace("\n", ""))
    page = for_html(text, limit=10_000)
    assert "<" not in page
    assert not UNSAFE.search(page.replace("\n", ""))


def test_errors_are_json_of_the_same_schema() -> None:
    for error in (
        troth.Malformed("is short", field="x", offset=3),
        troth.Misuse("both", fix="one"),
        troth.Unavailable("no disk"),
    ):
        plain = json.loads(error_json(error, subject="file"))
        jsonschema.validate(plain, SCHEMA)
        assert plain["exit_code"] == error.exit_code


def test_every_code_has_words_for_success() -> None:
    from troth.render.words import passed_title

    for code in TABLE.values():
        assert passed_title(code)
    assert not unexplained(reports()[Verdict.ACCEPTED])


def test_a_long_page_stays_small() -> None:
    evidence, trusted = document()
    page = report_html(judge(evidence, trusted, policy=policy()), Appendix(evidence=evidence))
    assert len(page.encode()) < 60_000
