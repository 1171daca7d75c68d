"""Attacks by amount: strangers' collateral is forgotten with the object that held it."""

import gc
import weakref
from dataclasses import replace

import pytest
from tests.platforms.dcap.made import PKI, accepted, good, refused

from troth.errors import Malformed
from troth.model.collateral import Collateral
from troth.platforms.dcap.simulate import QuoteKind
from troth.wire import x509
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


def test_a_chain_that_is_mostly_blank_lines_is_refused_and_not_remembered() -> None:
    """What is remembered is counted in texts, so each must have a limit."""
    head, end = PKI.root.pem.split(b"-----END")
    padded = head + 1_000_000 * b"\n" + b"-----END" + end
    for text in (padded, PKI.root.pem + 1_000_000 * b"\0"):
        with pytest.raises(Malformed, match="larger than"):
            x509.read_pem(text, "chain")
    assert x509.read_pem(head + 10 * b"\n" + b"-----END" + end, "chain") == (PKI.root.der,)


def test_a_list_that_grows_after_its_first_use_is_no_collateral() -> None:
    """What is remembered of an object is of the items that it was made of, and of no others."""
    case = good(QuoteKind.TDX_5_15)
    items = list(case.collateral.items)
    case = replace(case, collateral=Collateral(items=items))  # type: ignore[arg-type]
    accepted(case)
    items.append(PKI.pck_crl(revoked=[PKI.machine.leaf]))
    assert len(case.collateral.items) == len(items) - 1
    refused(replace(case, collateral=Collateral(items=items)), "R203")  # type: ignore[arg-type]
