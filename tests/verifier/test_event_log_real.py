"""Real logs beside real quotes: dstack's answers, a CCEL log, and each with what is not its own."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.platforms.dcap.rows import look
from tests.verifier.logged import real, with_events, wrong

from troth.model.check import Outcome
from troth.model.report import Verdict


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("dstack-quote-report", "dstack-quote-report"),
        ("dstack-rtmr3-report", "dstack-rtmr3"),
        ("dstack-tdx-lite-getquote", "dstack-tdx-lite"),
    ],
)
def test_real_answers_are_accepted_by_what_they_say(vectors: Path, name: str, file: str) -> None:
    row = real(vectors, file)
    answer = (vectors / "tdx" / "eventlog" / f"{name}.json").read_bytes()
    whole = replace(row, data=answer)
    wanted = with_events(whole, None, but=("rtmr3",))
    assert "compose_hash" in wanted.requirements["tdx"].events
    old = ["T102"] if row.status == "TcbNotSupported" else []
    assert wrong(look(whole, wanted)) == old
    assert look(whole, wanted).verdict is (Verdict.REJECTED if old else Verdict.ACCEPTED)
    assert wrong(look(row, wanted)) == ["M203", "M303", *old]
    assert wrong(look(row, wanted, event_log=answer)) == old


@pytest.mark.parametrize("other", ["dstack-rtmr3-report", "dstack-tdx-lite-getquote"])
def test_the_log_of_another_real_quote_is_rejected(vectors: Path, other: str) -> None:
    row = real(vectors, "dstack-quote-report")
    folder = vectors / "tdx" / "eventlog"
    wanted = with_events(row, (folder / "dstack-quote-report.json").read_bytes(), but=("rtmr3",))
    report = look(row, wanted, event_log=(folder / f"{other}.json").read_bytes())
    assert report.verdict is Verdict.REJECTED
    assert "M301" in wrong(report)


def test_a_real_ccel_log(vectors: Path) -> None:
    row = real(vectors, "gcp-cos113")
    folder = vectors / "tdx" / "eventlog"
    log = (folder / "google-cos113.ccel_data.bin").read_bytes()
    wanted = with_events(row, log)
    report = look(row, wanted, event_log=log)
    assert report.verdict is Verdict.ACCEPTED, wrong(report)
    assert report.presented is not None
    assert report.presented.events == {"secure_boot": "off"}
    assert not report.presented.covers
    asked = replace(wanted.requirements["tdx"], events={"secure_boot": ["on"]})
    refused = look(row, replace(wanted, requirements={"tdx": asked}), event_log=log)
    assert wrong(refused) == ["M304"]
    table = (folder / "google-cos113.ccel_table.bin").read_bytes()
    (check,) = (c for c in look(row, wanted, event_log=table).checks if c.outcome is Outcome.FAILED)
    assert check.code.id == "M301" and "ACPI table" in check.why


@pytest.mark.parametrize("at", [100, 3000, 20000])
def test_a_real_ccel_log_with_a_bit_changed(vectors: Path, at: int) -> None:
    row = real(vectors, "gcp-cos113")
    log = bytearray((vectors / "tdx" / "eventlog" / "google-cos113.ccel_data.bin").read_bytes())
    wanted = with_events(row, bytes(log))
    log[at] ^= 1
    assert look(row, wanted, event_log=bytes(log)).verdict is Verdict.REJECTED
