"""The table of minima: dated, cited, and silent where it knows nothing."""

from datetime import timedelta

import pytest
from tests.platforms.snp.made import AT, CODE, asked, failing, judged, still_open

import troth
from troth.model.report import Verdict
from troth.platforms.snp.product import LAYOUTS, Product
from troth.platforms.snp.simulate import Processor
from troth.platforms.snp.tcb import MINIMUMS, below, minimum_for

TABLE = troth.Policy(
    name="by the table", registers={"snp": {"measurement": frozenset({CODE.hex()})}}
)


@pytest.mark.parametrize("row", MINIMUMS, ids=lambda row: str(row.product))
def test_a_row_cites_its_bulletin_and_ends(row: object) -> None:
    from troth.platforms.snp.tcb import Row

    assert isinstance(row, Row)
    assert row.bulletin.startswith("AMD-SB-")
    assert row.source
    assert row.minimum.keys() <= LAYOUTS[row.product].keys()
    assert row.written < row.review_by < row.written + timedelta(days=366)


def test_each_product_has_one_row_at_most() -> None:
    assert len({row.product for row in MINIMUMS}) == len(MINIMUMS)


def test_past_its_review_date_a_row_says_nothing() -> None:
    for row in MINIMUMS:
        assert minimum_for(row.product, row.review_by) is row
        assert minimum_for(row.product, row.review_by + timedelta(seconds=1)) is None


def test_what_has_no_row_has_no_answer(turin: Processor) -> None:
    assert minimum_for(Product.TURIN, AT) is None
    assert minimum_for("Venice", AT) is None
    assert minimum_for("", AT) is None
    report = judged(asked(turin), turin, policy=TABLE)
    assert report.verdict is Verdict.UNDECIDED
    assert "T108" in still_open(report)


def test_a_report_below_the_table_is_refused(milan: Processor) -> None:
    assert judged(asked(milan), milan, policy=TABLE).verdict is Verdict.ACCEPTED
    worse = Processor.create(milan.pki, AT - timedelta(days=9), parts={**milan.parts, "snp": 0x17})
    report = judged(asked(worse), worse, policy=TABLE)
    assert failing(report) == {"T107"}


def test_what_falls_short_of_a_minimum() -> None:
    (short,) = below({"snp": 23, "tee": 0}, {"snp": 24, "tee": 0})
    assert str(short) == "snp is 23, needs 24"
    assert below({"snp": 24}, {"snp": 24}) == ()
    assert [s.component for s in below({}, {"snp": 1, "fmc": 1})] == ["snp", "fmc"]
