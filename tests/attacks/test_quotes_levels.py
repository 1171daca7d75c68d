"""Attacks on levels: a host that brings a worse TDX module under a TD that was launched under a good one."""

from datetime import UTC, datetime

import pytest
from tests.platforms.dcap.made import PKI, good, refused, swapped

from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.dcap.simulate_documents import COMPONENTS, PCE_SVN, Level

THEN, NOW = bytes((5, 1, 4, *bytes(13))), bytes((5, 1, 2, *bytes(13)))
NEW, OLD = datetime(2026, 5, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "now", ["OutOfDate", "OutOfDateConfigurationNeeded", "ConfigurationNeeded", "SWHardeningNeeded"]
)
@pytest.mark.parametrize("kind", [QuoteKind.TDX_5_15, QuoteKind.TDX_5_15EX])
def test_what_runs_now_is_worse_than_what_the_td_was_launched_under(
    kind: QuoteKind, now: str
) -> None:
    rows = (
        Level(COMPONENTS, PCE_SVN, THEN, "UpToDate", NEW, ()),
        Level(COMPONENTS, PCE_SVN, NOW, now, OLD, ()),
    )
    case = good(kind, fields={"tee_tcb_svn": THEN, "tee_tcb_svn_2": NOW})
    refused(swapped(case, PKI.tcb_info(tdx=True, tcb_levels=rows)), "T101")
