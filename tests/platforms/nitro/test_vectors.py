"""Real documents: every row of the manifest gets its verdict."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

import troth
from troth.errors import Malformed
from troth.model.check import Outcome, Waiver
from troth.model.report import Report, Verdict

ROWS = 13


def rows(vectors: Path) -> Iterator[tuple[str, bytes, datetime, str]]:
    """(file, bytes, instant, verdict in words) of each document."""
    with (vectors / "nitro" / "MANIFEST.tsv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            data = (vectors / "nitro" / row["file"]).read_bytes()
            yield (
                row["file"],
                data,
                datetime.fromisoformat(row["valid_at"]),
                row["expected_verdict"],
            )


def pinned(data: bytes, at: datetime) -> troth.Policy:
    """A policy that expects exactly what a document says."""
    claims = troth.appraise(data, policy=troth.Policy(name="look"), at=at).presented
    assert claims is not None
    registers = {name: claims.registers[name] for name in claims.identity}
    return troth.Policy.for_image({"nitro": registers}, name="pinned")


def codes(report: Report, outcome: Outcome) -> set[str]:
    return {check.code.id for check in report.checks if check.outcome is outcome}


def test_every_row_gets_its_verdict(vectors: Path) -> None:
    seen = dict.fromkeys(("accept", "debug", "badsig", "selfsigned"), 0)
    for name, data, at, verdict in rows(vectors):
        nothing = troth.appraise(data, policy=troth.Policy(name="none"), at=at)
        if name.startswith("blocky-selfsigned"):
            seen["selfsigned"] += 1
            assert nothing.verdict is Verdict.MALFORMED
            with pytest.raises(Malformed):
                troth.verify(data, policy=troth.Policy(name="none"), at=at)
        elif "corrupted" in verdict or name.startswith("veracruz-badsig"):
            seen["badsig"] += 1
            report = troth.appraise(data, policy=pinned(data, at), at=at)
            assert report.verdict is Verdict.REJECTED
            assert codes(report, Outcome.FAILED) == {"G104"}
        elif "debug" in verdict:
            seen["debug"] += 1
            assert nothing.verdict is Verdict.REJECTED
            assert codes(nothing, Outcome.FAILED) == {"P101"}
            assert codes(nothing, Outcome.UNDECIDED) == {"M101"}
            waived = troth.appraise(
                data, policy=troth.Policy(name="none"), at=at, waive=frozenset({Waiver.MEASUREMENT})
            )
            assert waived.verdict is Verdict.REJECTED
        else:
            seen["accept"] += 1
            assert verdict.startswith("accept"), name
            verified = troth.verify(data, policy=pinned(data, at), at=at)
            assert verified.report.verdict is Verdict.ACCEPTED
            assert verified.report.root_class == "vendor"
            assert nothing.verdict is Verdict.UNDECIDED
            assert codes(nothing, Outcome.UNDECIDED) == {"M101"}
            assert codes(nothing, Outcome.FAILED) == set()
            waived = troth.appraise(
                data, policy=troth.Policy(name="none"), at=at, waive=frozenset({Waiver.MEASUREMENT})
            )
            assert waived.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    assert seen == {"accept": 7, "debug": 4, "badsig": 1, "selfsigned": 1}
    assert sum(seen.values()) == ROWS


def test_a_document_without_expectation_is_undecided(vectors: Path) -> None:
    name, data, at, _ = next(rows(vectors))
    report = troth.appraise(data, policy=troth.Policy(name="none"), at=at)
    assert report.verdict is Verdict.UNDECIDED, name
    assert codes(report, Outcome.UNDECIDED) == {"M101"}
    with pytest.raises(troth.Undecided):
        troth.verify(data, policy=troth.Policy(name="none"), at=at)


def test_a_waiver_has_its_own_verdict(vectors: Path) -> None:
    _, data, at, _ = next(rows(vectors))
    report = troth.appraise(
        data, policy=troth.Policy(name="none"), at=at, waive=frozenset({Waiver.MEASUREMENT})
    )
    assert report.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    assert report.verdict.exit_code == 6


def test_the_signed_image_shows_its_signer(vectors: Path) -> None:
    for name, data, at, _ in rows(vectors):
        if name.startswith("evervault-pcr8"):
            claims = troth.verify(data, policy=pinned(data, at), at=at).claims
            assert int(claims.measurement("pcr8"), 16) != 0
            assert "pcr8" not in claims.identity


def test_nobody_else_can_read_claims(vectors: Path) -> None:
    """The report of a rejection has presented values, and no `Verified` comes of it."""
    name, data, at, _ = next(rows(vectors))
    policy = troth.Policy.for_image({"nitro": {"pcr0": "ab" * 48}})
    with pytest.raises(troth.Rejected) as raised:
        troth.verify(data, policy=policy, at=at)
    assert codes(raised.value.report, Outcome.FAILED) == {"M201"}, name
