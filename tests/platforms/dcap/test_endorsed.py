"""Signers and lists that are of the right name, and of which nothing can be checked."""

import gc
import weakref
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.platforms.dcap.made import NOW, PKI, accepted, good, refused, swapped, unverifiable

from troth.model.collateral import Collateral, Item, Kind
from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap.endorsed import List
from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.dcap.simulate_pki import Holder
from troth.wire import crl

SGX, TDX = QuoteKind.SGX_3, QuoteKind.TDX_5_15
BOTH = pytest.mark.parametrize("kind", [SGX, TDX])
WINDOW = {"issued": PKI.issued, "next_update": PKI.next_update}


@BOTH
@pytest.mark.parametrize("member", ["tcbInfo", "enclaveIdentity"])
def test_a_signer_whose_key_checks_nothing(kind: QuoteKind, member: str) -> None:
    """Its certificate is the root's and all is right in it, but for the kind of its key."""
    make = documents.tcb_info if member == "tcbInfo" else documents.qe_identity
    value: Any = make(tdx=kind.tdx, **WINDOW)
    chain = unverifiable(PKI.signer, PKI.root) + PKI.root.pem
    refused(swapped(good(kind), PKI.document(member, value, chain=chain)), "G204")


def naming_illegibly(issuer: Holder, serial: int) -> bytes:
    """A list, well signed, that names a number with something beside it that must be understood."""
    elsewhere = x509.CertificateIssuer([x509.DirectoryName(issuer.certificate.subject)])
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(serial)
        .revocation_date(NOW - timedelta(days=1))
        .add_extension(elsewhere, critical=True)
        .build()
    )
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW - timedelta(days=1))
        .next_update(NOW + timedelta(days=9))
        .add_revoked_certificate(entry)
        .sign(issuer.key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


@BOTH
def test_a_list_that_names_a_certificate_in_a_way_nobody_reads(kind: QuoteKind) -> None:
    case = good(kind)
    for slot, issuer, named in (
        (Kind.INTEL_PCK_CRL, PKI.platform_ca, PKI.machine.leaf),
        (Kind.INTEL_ROOT_CRL, PKI.root, PKI.platform_ca),
        (Kind.INTEL_ROOT_CRL, PKI.root, PKI.signer),
    ):
        item = Item(kind=slot, data=naming_illegibly(issuer, named.serial))
        refused(swapped(case, item), undecided={"R203", "R204"})
        accepted(swapped(case, replace(item, data=naming_illegibly(issuer, named.serial + 1))))


def test_a_list_is_of_whom_it_names() -> None:
    item = PKI.pck_crl()
    found = List(item=item, content=crl.read(item.data))
    assert found.problem(PKI.platform_ca.der) == ""
    for other in (PKI.processor_ca, PKI.root):
        assert found.problem(other.der) == "is another authority's"


def test_what_is_remembered_with_collateral_goes_with_it() -> None:
    case = good(TDX)
    collateral = Collateral(items=case.collateral.items)
    accepted(replace(case, collateral=collateral))
    gone = weakref.ref(collateral)
    del collateral
    gc.collect()
    assert gone() is None
