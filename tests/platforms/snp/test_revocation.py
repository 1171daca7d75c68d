"""Revocation lists: without a current one nothing is accepted, and one that names an authority refuses it."""

from datetime import timedelta

import pytest
from tests.platforms.snp.made import (
    AT,
    LISTED,
    asked,
    crl,
    failing,
    flipped,
    held,
    judged,
    still_open,
    why,
)

from troth.model.report import Verdict
from troth.platforms.snp.simulate import DevelopmentPki, Processor
from troth.wire import x509

MONTH = timedelta(days=30)


def serial(certificate: bytes) -> int:
    return x509.read(certificate).serial


def test_no_list_leaves_the_answer_open(milan: Processor) -> None:
    report = judged(asked(milan), milan, *held(milan)[:2])
    assert report.verdict is Verdict.UNDECIDED
    assert still_open(report) == {"R203", "R204"}


@pytest.mark.parametrize("start", [AT - MONTH - timedelta(seconds=1), AT + timedelta(seconds=1)])
def test_a_list_outside_of_its_window_leaves_the_answer_open(
    milan: Processor, start: object
) -> None:
    listed = milan.pki.crl(start, life=MONTH)  # type: ignore[arg-type]
    report = judged(asked(milan), milan, *held(milan)[:2], crl(listed))
    assert report.verdict is Verdict.UNDECIDED
    assert still_open(report) == {"R203", "R204"}


@pytest.mark.parametrize("start", [AT - MONTH, AT])
def test_both_ends_of_the_window_belong_to_it(milan: Processor, start: object) -> None:
    listed = milan.pki.crl(start, life=MONTH)  # type: ignore[arg-type]
    report = judged(asked(milan), milan, *held(milan)[:2], crl(listed))
    assert report.verdict is Verdict.ACCEPTED


def test_a_revoked_authority_is_refused(milan: Processor, rented: Processor) -> None:
    ask, asvk, ark = (serial(der) for der in (milan.pki.ask, milan.pki.asvk, milan.pki.ark))
    for processor, number in ((milan, ask), (milan, ark), (rented, asvk), (rented, ark)):
        listed = milan.pki.crl(LISTED, revoked=(1, number, 1 << 130))
        report = judged(asked(processor), processor, *held(processor)[:2], crl(listed))
        assert report.verdict is Verdict.REJECTED
        assert failing(report) == {"R203"}
        assert still_open(report) == set()
        assert len(report.collateral) == 3
    for processor, number in ((milan, asvk), (rented, ask), (milan, 0), (milan, ask << 8)):
        listed = milan.pki.crl(LISTED, revoked=(number,))
        report = judged(asked(processor), processor, *held(processor)[:2], crl(listed))
        assert report.verdict is Verdict.ACCEPTED


def test_revoked_once_is_revoked_for_ever(milan: Processor) -> None:
    """Neither an ended list that names it nor a later one that does not takes that back."""
    ended = milan.pki.crl(AT - 3 * MONTH, revoked=(serial(milan.pki.ask),))
    for items in ((crl(ended), held(milan)[2]), (held(milan)[2], crl(ended)), (crl(ended),)):
        report = judged(asked(milan), milan, *held(milan)[:2], *items)
        assert failing(report) == {"R203"}
        assert still_open(report) == {"R204"}


def test_a_list_that_the_root_did_not_sign_does_not_count(
    milan: Processor, genoa: Processor
) -> None:
    listed = milan.pki.crl(LISTED)
    forged = listed[:-1] + bytes((listed[-1] ^ 1,))
    report = judged(asked(milan), milan, *held(milan)[:2], crl(forged))
    assert report.verdict is Verdict.UNDECIDED
    assert "does not verify" in why(report, "R204")
    report = judged(asked(milan), milan, *held(milan)[:2], crl(genoa.pki.crl(LISTED)))
    assert "another issuer" in why(report, "R204")
    # And it takes nothing away from one that counts.
    items = (crl(forged), *held(milan))
    assert judged(asked(milan), milan, *items).verdict is Verdict.ACCEPTED


def test_a_forged_list_cannot_revoke(milan: Processor, pkis: dict[str, DevelopmentPki]) -> None:
    listed = milan.pki.crl(LISTED, revoked=(serial(milan.pki.ask),))
    forged = listed[:-1] + bytes((listed[-1] ^ 1,))
    report = judged(asked(milan), milan, crl(forged), *held(milan))
    assert report.verdict is Verdict.ACCEPTED
    assert len(pkis) == 3


def test_no_change_to_a_list_is_accepted(milan: Processor) -> None:
    listed = milan.pki.crl(LISTED, revoked=(5,))
    for bit in range(0, 8 * len(listed), 37):
        report = judged(asked(milan), milan, *held(milan)[:2], crl(flipped(listed, bit)))
        assert report.verdict is Verdict.UNDECIDED, bit
