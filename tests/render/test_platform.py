"""Reports on quotes: numbers, levels and events in text, in JSON by its schema, and on the page."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from tests.platforms.dcap.rows import look, manifest
from tests.render.test_html import Page
from tests.render.test_render import HOSTILE, UNSAFE
from tests.verifier.logged import LOG, PINNED, judge, policy, quote, real, text

import troth
from troth.model.check import failed
from troth.model.codes import TABLE
from troth.model.report import Report
from troth.model.tcb import Finding, Short, Tcb
from troth.render import tcb
from troth.render.html import report_html
from troth.render.json import report_json
from troth.render.text import report_text
from troth.render.words import passed_title, proves

SCHEMA = json.loads(files("troth.render").joinpath("schema/report-v1.json").read_text("utf-8"))
DAY = datetime(2024, 3, 13, tzinfo=UTC)
BEHIND = Tcb(
    status="OutOfDate",
    date=DAY,
    advisories=("INTEL-SA-01036",),
    evaluation_number=18,
    findings=(
        Finding(
            part="platform",
            status="OutOfDate",
            date=DAY,
            advisories=("INTEL-SA-01036",),
            short=(Short(component="SGX component 1 (BIOS)", has=6, needs=8),),
            better="UpToDate, 2025-08-13",
            fix="update the BIOS",
        ),
        Finding(part="QE", status="UpToDate", date=DAY),
        Finding(part="TDX module 1.x", status="TcbNotSupported", date=None),
    ),
)


def accepted() -> Report:
    evidence = quote(*LOG)
    return judge(evidence, policy(evidence, PINNED), text(*LOG))


def behind(found: Tcb = BEHIND, why: str = "in one paragraph") -> Report:
    good = accepted()
    assert good.presented is not None
    check = failed(TABLE["T101"], "TCB status", presented="OutOfDate", expected="UpToDate", why=why)
    return replace(good, presented=replace(good.presented, tcb=found), checks=(*good.checks, check))


def plain(report: Report) -> dict[str, object]:
    found: dict[str, object] = json.loads(report_json(report))
    jsonschema.validate(found, SCHEMA)
    return found


def test_json_has_all_that_was_said() -> None:
    found = plain(accepted())
    claims = found["claims"]
    assert isinstance(claims, dict)
    assert claims["events"]["compose_hash"] == PINNED["compose_hash"]
    assert claims["numbers"]["td_attributes"] == 1 << 28
    assert claims["tcb"]["status"] == "UpToDate"
    assert claims["alternative"] == []
    assert isinstance(found["event_log"], str)
    assert plain(judge(quote(*LOG), troth.Policy(name="none")))["event_log"] is None
    presented = plain(behind())["presented"]
    assert isinstance(presented, dict)
    assert presented["tcb"] == {
        "status": "OutOfDate",
        "date": "2024-03-13T00:00:00Z",
        "advisories": ["INTEL-SA-01036"],
        "evaluation_number": 18,
        "findings": [
            {
                "part": "platform",
                "status": "OutOfDate",
                "date": "2024-03-13T00:00:00Z",
                "advisories": ["INTEL-SA-01036"],
                "short": [{"component": "SGX component 1 (BIOS)", "has": 6, "needs": 8}],
                "better": "UpToDate, 2025-08-13",
                "fix": "update the BIOS",
            },
            {
                "part": "QE",
                "status": "UpToDate",
                "date": "2024-03-13T00:00:00Z",
                "advisories": [],
                "short": [],
                "better": "",
                "fix": "",
            },
            {
                "part": "TDX module 1.x",
                "status": "TcbNotSupported",
                "date": None,
                "advisories": [],
                "short": [],
                "better": "",
                "fix": "",
            },
        ],
    }


def test_reports_of_before_still_have_the_schema() -> None:
    found = plain(accepted())
    claims = found["claims"]
    assert isinstance(claims, dict)
    for member in ("alternative", "numbers", "tcb", "events", "texts"):
        del claims[member]
    del found["event_log"]
    jsonschema.validate(found, SCHEMA)


def test_text_lists_what_is_short() -> None:
    told = report_text(behind())
    assert (
        "   │  expected   UpToDate\n"
        "   │  platform is OutOfDate, level of 2024-03-13\n"
        "   │    SGX component 1 (BIOS): 6, needs 8\n"
        "   │    to reach UpToDate, 2025-08-13: update the BIOS\n"
        "   │  TDX module 1.x is TcbNotSupported\n"
        "   = fix:"
    ) in told
    assert "in one paragraph" not in told
    assert "QE is" not in told


def test_text_without_levels_says_why() -> None:
    report = behind()
    assert report.presented is not None
    bare = replace(report, presented=replace(report.presented, tcb=None))
    assert "= why:  in one paragraph" in report_text(bare)
    other = failed(TABLE["T104"], "x", expected="UpToDate", why="another")
    assert list(tcb.lines(report, other)) == []


def test_acceptance_names_the_events_and_the_log() -> None:
    second = report_text(accepted()).splitlines()[1]
    assert "rtmr2, events.compose_hash" in second
    assert "its event log" in second
    assert any("events.key_provider" in line for line in proves(accepted()))


def test_the_page_has_tables_of_both() -> None:
    page = report_html(behind())
    made = Page(page)
    assert all(th.get("scope") for th in made.all("th"))
    for words in (
        "What the event log says",
        "How far the platform is behind",
        "SGX component 1 (BIOS): 6, needs 8",
        "update the BIOS",
        "then UpToDate, 2025-08-13",
        "TCB evaluation data number 18",
        "INTEL-SA-01036",
        "event log sha-256",
    ):
        assert words in page, words
    evidence = quote(*LOG)
    bare = report_html(judge(evidence, troth.Policy(name="none")))
    assert "What the event log says" not in bare


def test_an_event_that_differs_is_marked() -> None:
    evidence = quote(*LOG)
    lie = policy(evidence, PINNED | {"compose_hash": "05" * 32})
    page = report_html(judge(evidence, lie, text(*LOG)))
    row = page[page.index("What the event log says") :]
    assert '<span class="mark bad">✗</span>compose_hash' in row
    assert '<span class="mark good">✓</span>key_provider' in row
    assert '<span class="mark "></span>instance_id' in row


def test_hostile_levels_and_events_are_spelled_out() -> None:
    part = Finding(
        part=HOSTILE,
        status=HOSTILE,
        date=None,
        advisories=(HOSTILE,),
        short=(Short(component=HOSTILE, has=1, needs=2),),
        better=HOSTILE,
        fix=HOSTILE,
    )
    found = replace(BEHIND, status=HOSTILE, advisories=(HOSTILE,), findings=(part,))
    report = behind(found)
    assert report.presented is not None
    report = replace(report, presented=replace(report.presented, events={HOSTILE: HOSTILE}))
    assert not UNSAFE.search(report_text(report, verbose=True))
    page = report_html(report)
    assert not UNSAFE.search(page)
    assert "<script" not in page
    assert report_json(report).isascii()


@pytest.mark.parametrize("platform", ["sgx", "tdx"])
def test_real_reports_keep_to_the_schema(vectors: Path, platform: str) -> None:
    for row in manifest(vectors, platform):
        report = look(row)
        plain(report)
        told = report_text(report)
        assert max(map(len, told.splitlines())) < 400
        page = report_html(report)
        Page(page)
        assert len(page.encode()) < 80_000


def test_a_real_one_that_is_behind(vectors: Path) -> None:
    told = report_text(look(real(vectors, "automata-v4")))
    assert "   │    SGX component 5 (BIOS): 3, needs 4\n" in told
    assert "   │    to reach " in told


def test_every_code_has_its_own_words_for_success() -> None:
    bare = [code.id for code in TABLE.values() if passed_title(code) == code.slug]
    assert not bare


def test_what_is_accepted_says_how_new_its_platform_is() -> None:
    report = accepted()
    assert report.presented is not None
    found = report.presented.tcb
    assert found is not None
    assert found.date is not None
    line = next(row for row in report_text(report).splitlines() if "TCB" in row)
    assert f"TCB UpToDate of {found.date:%Y-%m-%d}, evaluation {found.evaluation_number}" in line
