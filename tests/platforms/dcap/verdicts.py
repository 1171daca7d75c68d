"""What a row of the tables says, asserted; the same for both of Intel's platforms."""

import pytest
from tests.platforms.dcap.rows import Row, accepting, codes, judged, look

import troth
from troth.model.check import Outcome
from troth.model.report import Verdict
from troth.model.roots import RootClass

# What a verdict needs beside form, signatures, chain and levels: of this only the policy speaks.
BY_POLICY = {"P101", "T101", "T102", "T103", "T104"}
DEFAULT_OPEN = {"M101", "M201", "M203"}


def row_gets_its_verdict(row: Row) -> None:
    """Status, advisories, date and verdict are the table's; what is not up to date needs a policy."""
    report = judged(row)
    claims = report.presented
    assert claims is not None
    assert claims.tcb is not None
    assert report.root_class is RootClass.VENDOR
    assert claims.tcb.status == row.status
    if (
        row.status != "TcbNotSupported"
    ):  # of a platform that no level fits, the table says nothing more
        assert set(claims.tcb.advisories) == set(row.advisories)
        assert len(claims.tcb.advisories) == len(set(claims.tcb.advisories))
        assert claims.tcb.date == row.date
    else:
        assert claims.tcb.date is None
        assert any(part.short for part in claims.tcb.findings)
    if row.verdict == "accept-per-policy":
        assert report.verdict is Verdict.ACCEPTED, codes(report)
        verified = troth.verify(
            row.data,
            policy=accepting(row, report),
            at=row.at,
            nonce=claims.user_data,
            collateral=row.collateral(),
        )
        assert verified.claims.platform == row.platform
    else:
        assert row.verdict == "reject"
        assert report.verdict is Verdict.REJECTED
        # Form, signatures, chain and collateral are good: the level or debug mode alone refuse it.
        assert codes(report) <= BY_POLICY
        assert codes(report, Outcome.UNDECIDED) == set()
    _default_policy(row, report)
    _nonce_of_another(row, report)


def _default_policy(row: Row, report: troth.Report) -> None:
    """Without a word about status, only what is up to date and has no advisory open is accepted."""
    claims = report.presented
    assert claims is not None
    registers = {row.platform: {name: claims.registers[name] for name in claims.identity}}
    default = look(row, troth.Policy.for_image(registers))
    if row.status != "UpToDate":
        assert default.verdict is Verdict.REJECTED
        assert codes(default) & {"T101", "T102"}
    if default.verdict is Verdict.ACCEPTED:
        assert row.verdict == "accept-per-policy"
        assert not row.advisories
    nothing = look(row)
    assert nothing.verdict is not Verdict.ACCEPTED
    assert codes(nothing, Outcome.UNDECIDED) & DEFAULT_OPEN


def _nonce_of_another(row: Row, report: troth.Report) -> None:
    claims = report.presented
    assert claims is not None
    assert claims.user_data is not None
    other = bytes(byte ^ 1 for byte in claims.user_data)
    refused = look(row, accepting(row, report), nonce=other)
    assert refused.verdict is Verdict.REJECTED
    assert "B101" in codes(refused)


def mutation_gets_its_verdict(row: Row, accepted: dict[str, str]) -> None:
    """Never accepted, but for those named; and whatever happens is a report or one of our errors."""
    report = judged(row)  # raises nothing: a report is made of everything
    if row.name in accepted and "@" not in accepted[row.name]:
        assert report.verdict is Verdict.ACCEPTED, (row.id, codes(report))
        return
    assert report.verdict is not Verdict.ACCEPTED, (row.id, row.expected)
    assert report.verdict in (Verdict.REJECTED, Verdict.UNDECIDED, Verdict.MALFORMED)
    with pytest.raises(troth.TrothError):
        troth.verify(
            row.data,
            policy=troth.Policy(name="none") if not report.presented else accepting(row, report),
            at=row.at,
            collateral=row.collateral(),
        )
