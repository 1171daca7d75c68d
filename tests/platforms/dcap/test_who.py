"""A PCK certificate that vouches for nothing."""

import pytest
from tests.platforms.dcap.made import PKI, good, refused, unverifiable

from troth.platforms.dcap.simulate import QuoteKind


@pytest.mark.parametrize("kind", [QuoteKind.SGX_3, QuoteKind.TDX_4, QuoteKind.TDX_5_15])
def test_a_pck_certificate_whose_key_checks_nothing(kind: QuoteKind) -> None:
    """Its certificate is the authority's and all is right in it, but for the kind of its key."""
    machine = PKI.machine
    leaf = unverifiable(machine.leaf, machine.authority)
    refused(good(kind, chain=[leaf, machine.authority.pem, PKI.root.pem]), "G202")
