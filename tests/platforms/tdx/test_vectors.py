"""Real TDX quotes: every row of the tables gets its verdict."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tests.platforms.dcap.rows import Row, accepting, codes, judged, look, manifest, mutations
from tests.platforms.dcap.verdicts import mutation_gets_its_verdict, row_gets_its_verdict

import troth
from troth.model.report import Verdict
from troth.platforms import detect
from troth.policy.requirements import Requirements

ROWS, MUTATIONS = 30, 127

SEPT = 1 << 28
ACCEPTED = {
    "malleable_quote_sig": "(r, n - s) is as good a signature over the same bytes",
    "malleable_qe_sig": "the same",
    "trail_zero_pad": "guest drivers pad with zeros; they are removed, and the report says so",
    "rebuild_identity": "the same bytes, built anew",
    "chain_nul_padding": "Intel's quoting library ends its PEM with NULs",
}
# One name in the table for two changes: collateral may leave the root out, a quote's chain may not.
NO_ROOT = "chain_no_root"


def test_every_row_gets_its_verdict(vectors: Path) -> None:
    rows = manifest(vectors, "tdx")
    assert len(rows) == ROWS
    for row in rows:
        row_gets_its_verdict(row)
    assert Counter(row.verdict for row in rows) == {"accept-per-policy": 22, "reject": 8}
    assert "TDRelaunchAdvised" in {row.status for row in rows}


def test_every_mutation_gets_its_verdict(vectors: Path) -> None:
    rows = mutations(vectors, "tdx")
    assert len(rows) == MUTATIONS
    for row in rows:
        accepted = dict(ACCEPTED)
        if row.operation == "collateral":
            accepted[NO_ROOT] = "the root is the one of the platform's own chain"
        mutation_gets_its_verdict(row, accepted)
    assert {row.name for row in rows} >= ACCEPTED.keys() | {NO_ROOT}


def with_collateral_of(vectors: Path, name: str, like: str) -> Row:
    found = next(r for r in manifest(vectors, "tdx") if r.file.startswith(like))
    return replace(found, file=name, data=(vectors / "tdx" / name).read_bytes())


def test_zeros_behind_a_quote_are_removed_and_said(vectors: Path) -> None:
    row = with_collateral_of(vectors, "pad8000-google-cos113.quote.bin", "gcp-cos113")
    assert len(row.data) == 8000
    report = judged(row)
    assert report.verdict is Verdict.ACCEPTED
    assert any("zero bytes behind the quote" in note for note in report.notes)
    bare = judged(
        replace(
            row,
            data=next(r.data for r in manifest(vectors, "tdx") if r.file.startswith("gcp-cos113")),
        )
    )
    assert bare.subject_sha256 == report.subject_sha256


@pytest.mark.parametrize("at", [8000 - 1, 6000, -2000])
def test_anything_else_among_the_zeros_is_refused(vectors: Path, at: int) -> None:
    row = with_collateral_of(vectors, "pad8000-google-cos113.quote.bin", "gcp-cos113")
    data = bytearray(row.data)
    data[at] = 1
    assert look(replace(row, data=bytes(data))).verdict is Verdict.MALFORMED


def test_bytes_behind_a_quote_are_refused(vectors: Path) -> None:
    """The published one has zeros behind it, which are padding; one byte of anything else is not."""
    row = with_collateral_of(vectors, "neg-oasis-trailing.quote.bin", "oasis-c0806f")
    assert judged(row).verdict is not Verdict.MALFORMED
    assert any("70 zero bytes" in note for note in judged(row).notes)
    for tail in (b"\1", b"\0\1", b"\1\0"):
        assert look(replace(row, data=row.data + tail)).verdict is Verdict.MALFORMED


def test_no_quote_is_of_both_platforms(vectors: Path) -> None:
    for platform in ("sgx", "tdx"):
        for row in manifest(vectors, platform):
            found = detect(row.data)
            assert found is not None
            assert found[0].name == platform


def test_what_a_td_lacks_is_said(vectors: Path) -> None:
    """Some real TDs run without SEPT_VE_DISABLE, and are accepted by a policy that says so alone."""
    bare = []
    for row in manifest(vectors, "tdx"):
        report = judged(row)
        claims = report.presented
        assert claims is not None
        if report.verdict is not Verdict.ACCEPTED or claims.numbers["td_attributes"] & SEPT:
            continue
        policy = accepting(row, report)
        asked = policy.requirements["tdx"]
        strict = troth.Policy(
            name="strict",
            registers=policy.registers,
            requirements={
                "tdx": Requirements(tcb_status=asked.tcb_status, advisories=asked.advisories)
            },
        )
        assert codes(look(row, strict)) == {"P201"}, row.file
        bare.append(row.file)
    assert bare


def test_a_td_that_should_start_anew(vectors: Path) -> None:
    """Launched under an old module on a host that has a good one: Intel's word for it, and both findings."""
    row = next(r for r in manifest(vectors, "tdx") if r.status == "TDRelaunchAdvised")
    claims = judged(row).presented
    assert claims is not None
    assert claims.tcb is not None
    parts = {part.part: part.status for part in claims.tcb.findings}
    assert parts["TDX module 1.x"] == "OutOfDate" or parts["platform"] == "OutOfDate"
    assert parts["current platform"] != "OutOfDate"
    assert look(row, accepting(row, judged(row))).verdict is Verdict.ACCEPTED
