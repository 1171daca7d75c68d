"""More than one document for one platform: genuine ones count, and of those the newest."""

from dataclasses import replace

import pytest
from tests.platforms.dcap.made import OTHER, PKI, good
from tests.platforms.dcap.rows import codes

from troth.model.collateral import Collateral, Kind
from troth.model.report import Verdict

BOTH = (Kind.INTEL_TCB_INFO, Kind.INTEL_QE_IDENTITY)


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_forged_document_does_not_stand_in_a_genuine_ones_way(where: str) -> None:
    """Whoever hands over collateral may add to it; a forged one of a higher number is passed over."""
    case = good()
    forged = (
        OTHER.tcb_info(tdx=True, evaluation_number=99),
        OTHER.qe_identity(tdx=True, evaluation_number=99),
    )
    items = case.collateral.items
    mixed = Collateral(items=(*forged, *items) if where == "first" else (*items, *forged))
    report = replace(case, collateral=mixed).report()
    assert report.verdict is Verdict.ACCEPTED
    alone = Collateral(items=tuple(i for i in items if i.kind not in BOTH) + forged)
    assert codes(replace(case, collateral=alone).report()) == {"G204"}


def test_of_several_genuine_documents_the_highest_number_counts() -> None:
    case = good()
    newer = (
        PKI.tcb_info(tdx=True, evaluation_number=99),
        PKI.qe_identity(tdx=True, evaluation_number=98),
    )
    for items in ((*newer, *case.collateral.items), (*case.collateral.items, *newer)):
        report = replace(case, collateral=Collateral(items=items)).report()
        assert report.presented is not None
        assert report.presented.tcb is not None
        assert report.presented.tcb.evaluation_number == 98
