"""Attacks by amount: strangers' collateral is forgotten with the object that held it."""

import gc
import weakref

import pytest
from tests.platforms.dcap.made import accepted, good

from troth.platforms.dcap.simulate import QuoteKind
from troth.wire.crl import RevocationList


def lists() -> int:
    gc.collect()
    return sum(isinstance(thing, RevocationList) for thing in gc.get_objects())


@pytest.mark.parametrize("kind", [QuoteKind.SGX_3, QuoteKind.TDX_5_15])
def test_nothing_of_a_bundles_collateral_outlives_it(kind: QuoteKind) -> None:
    before = lists()
    case = good(kind)
    accepted(case)
    held = weakref.ref(case.collateral)
    assert lists() == before + 2
    del case
    assert lists() == before
    assert held() is None
