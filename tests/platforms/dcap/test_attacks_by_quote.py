"""Known attacks with quotes and certificates on verifiers of Intel quotes, made with keys that make everything else right.

`refused` asserts which questions alone say no, so that leaving one of them out would be acceptance.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.platforms.dcap.attacked import BOTH, SGX, TDX, identity
from tests.platforms.dcap.made import (
    NONCE,
    NOW,
    OTHER,
    PKI,
    accepted,
    good,
    pinned,
    put,
    refused,
    swapped,
)

import troth
from troth.model.report import Verdict
from troth.platforms import sgx, tdx
from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap import simulate_pki as pki
from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind, make_machine


@BOTH
def test_forged_qe_identity(kind: QuoteKind) -> None:
    """Signed by somebody, and sent with the true signer's chain."""
    chain = PKI.signer.pem + PKI.root.pem
    forged = PKI.document("enclaveIdentity", identity(kind), signer=OTHER.signer, chain=chain)
    refused(swapped(good(kind), forged), "G204")


@BOTH
def test_qe_identity_of_another_family(kind: QuoteKind) -> None:
    """With its own chain, whose root has the right name."""
    refused(swapped(good(kind), OTHER.qe_identity(tdx=kind.tdx)), "G204")


@BOTH
def test_forged_qe_identity_that_fits_a_forged_enclave(kind: QuoteKind) -> None:
    """The CVE: a quoting enclave of the attacker's, and an identity that describes it, not signed."""
    mine = bytes(range(32))
    case = good(kind, qe={"mrsigner": mine})
    refused(case, "G203")
    chain = PKI.signer.pem + PKI.root.pem
    value = identity(kind, mrsigner=mine.hex())
    forged = PKI.document("enclaveIdentity", value, signer=OTHER.signer, chain=chain)
    refused(swapped(case, forged), "G204")
    accepted(swapped(case, PKI.document("enclaveIdentity", value)))


@BOTH
@pytest.mark.parametrize(
    "changes",
    [
        {"mrsigner": bytes(32)},
        {"isvprodid": b"\x09\0"},
        {"attributes": documents.QE_FLAGS[:0] + b"\x17" + documents.QE_FLAGS[1:]},
        {"miscselect": b"\1\0\0\0"},
        {"miscselect": b"\0\0\0\1"},
    ],
    ids=["signer", "product", "debug", "miscselect", "miscselect-high"],
)
def test_another_enclave_than_the_vendors(kind: QuoteKind, changes: dict[str, bytes]) -> None:
    refused(good(kind, qe=changes), "G203")


def test_miscselect_is_in_the_order_of_the_reports_bytes() -> None:
    case = good(SGX, qe={"miscselect": b"\1\2\3\4"})
    accepted(swapped(case, PKI.document("enclaveIdentity", identity(SGX, miscselect="01020304"))))
    refused(
        swapped(case, PKI.document("enclaveIdentity", identity(SGX, miscselect="04030201"))), "G203"
    )


@BOTH
def test_the_identity_of_the_other_tees_quoting_enclave(kind: QuoteKind) -> None:
    """Both are at hand and genuine; each counts for its own kind of quote."""
    tdx = not kind.tdx
    changes = {
        "mrsigner": documents.QE_SIGNERS[tdx],
        "isvprodid": documents.QE_PRODUCTS[tdx].to_bytes(2, "little"),
    }
    refused(good(kind, qe=changes), "G203")


@BOTH
def test_a_root_of_the_same_name_that_is_not_pinned(kind: QuoteKind) -> None:
    report = refused(good(kind, pki=OTHER), "G101", undecided={"R103", "P102"}, trust=PKI.roots())
    assert report.root_class is None
    refused(good(kind), "G101", undecided={"R103", "P102"}, trust=())


@BOTH
def test_the_pinned_root_in_front_of_another_family(kind: QuoteKind) -> None:
    """The right root's certificate, and below it an authority that it has not signed."""
    chain = (OTHER.machine.leaf.pem, OTHER.platform_ca.pem, PKI.root.pem)
    case = good(kind, machine=OTHER.machine, chain=chain)
    case = replace(case, collateral=put(PKI.collateral(), OTHER.pck_crl()))
    refused(case, "G102")


def test_a_development_root_is_no_vendors() -> None:
    policy = troth.Policy(
        name="production",
        registers=pinned(good().data).registers,
        roots_allow=frozenset({troth.RootClass.VENDOR}),
    )
    refused(good(), "P102", policy=policy)


@BOTH
def test_the_signature_section_is_missing(kind: QuoteKind) -> None:
    case = good(kind)
    signed = len(troth.platforms.dcap.quote.parse(case.data).signed)
    for data in (case.data[:signed], case.data[:signed] + bytes(4), case.data[: signed + 4 + 64]):
        assert replace(case, data=data).report().verdict is Verdict.MALFORMED


def test_a_debug_enclave() -> None:
    flags = (0x7).to_bytes(8, "little") + (0xE7).to_bytes(8, "little")
    refused(good(SGX, fields={"attributes": flags}), "P101")


@pytest.mark.parametrize("bit", range(8))
def test_a_debug_td_and_the_reserved_bits_beside(bit: int) -> None:
    attributes = ((1 << 28) | (1 << bit)).to_bytes(8, "little")
    refused(good(TDX, fields={"td_attributes": attributes}), "P101")


@BOTH
def test_a_platform_certificate_of_the_signer(kind: QuoteKind) -> None:
    """The collateral's signer is no authority, and issues no platforms."""
    machine = make_machine(PKI.signer, begin=PKI.issued)
    report = good(kind, machine=machine).report()
    assert report.verdict is Verdict.REJECTED
    assert "G206" in {c.code.id for c in report.checks if c.outcome == "failed"}


@BOTH
def test_a_platform_certificate_of_another_name(kind: QuoteKind) -> None:
    machine = PKI.new_machine(name="Intel SGX Something Else")
    report = good(kind, machine=machine).report()
    assert {c.code.id for c in report.checks if c.outcome == "failed"} == {"G206"}


@BOTH
def test_an_extension_of_the_other_authoritys_kind(kind: QuoteKind) -> None:
    """A Processor CA that speaks of platform instances, and a Platform CA that does not."""
    for authority, processor in ((PKI.processor_ca, False), (PKI.platform_ca, True)):
        machine = make_machine(authority, begin=PKI.issued, processor=processor)
        report = good(kind, machine=machine).report()
        assert {c.code.id for c in report.checks if c.outcome == "failed"} == {"G206"}


@BOTH
def test_the_other_form_of_a_signature(kind: QuoteKind) -> None:
    """Accepted, with another digest of the whole: nothing may be told apart by that digest."""
    from tests.platforms.dcap.rows import P256_ORDER

    case = good(kind)
    at = len(troth.platforms.dcap.quote.parse(case.data).signed) + 4 + 32
    s = P256_ORDER - int.from_bytes(case.data[at : at + 32], "big")
    other = replace(case, data=case.data[:at] + s.to_bytes(32, "big") + case.data[at + 32 :])
    reports = accepted(case), accepted(other)
    assert reports[0].subject_sha256 != reports[1].subject_sha256
    assert reports[0].presented == reports[1].presented


def test_time_is_the_callers() -> None:
    """No clock is looked at: the very same call has the answer of the instant that is given."""
    case = good(TDX)
    accepted(case)
    later = replace(case, at=NOW + timedelta(days=31))
    refused(later, undecided={"R202", "R203", "R204"})
    past = replace(case, at=datetime(2020, 1, 1, tzinfo=UTC))
    refused(past, "G103", undecided={"R202", "R203", "R204"})
    with pytest.raises(troth.Misuse):
        replace(case, at=datetime(2026, 11, 23, 3, 10)).report()


def test_a_service_td_and_a_td_that_may_migrate() -> None:
    helper = good(TDX, fields={"mrservicetd": b"\7" * 48})
    accepted(helper)  # a policy that names the service TD's measurement has looked at it
    unnamed = pinned(good(TDX).data)
    refused(helper, "P204", undecided={"M203"}, policy=unnamed)
    allowed = pinned(good(TDX).data, migration="allowed")
    refused(helper, undecided={"M203"}, policy=allowed)
    attributes = ((1 << 28) | (1 << 29)).to_bytes(8, "little")
    movable = good(TDX, fields={"td_attributes": attributes})
    refused(movable, "P204")


def test_another_nonce() -> None:
    report = good(TDX, fields={"reportdata": bytes(64)}).report()
    assert bytes(64) != NONCE
    assert report.verdict is Verdict.REJECTED
    assert {c.code.id for c in report.checks if c.outcome == "failed"} <= {"B101", "R101"}


@BOTH
def test_an_attestation_key_that_nobody_vouches_for(kind: QuoteKind) -> None:
    refused(good(kind, qe={"reportdata": bytes(64)}), "G202")
    refused(good(kind, qe_key=OTHER.machine.leaf.key), "G202")
    case = good(kind, auth=b"")
    accepted(case)


@BOTH
def test_what_stands_behind_the_hash_of_the_attestation_key(kind: QuoteKind) -> None:
    """32 zeros: not a place to put something that the enclave would vouch for."""
    from hashlib import sha256

    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    auth = bytes(32)
    bound = sha256(pki.point(key) + auth).digest()
    accepted(good(kind, key=key, auth=auth, qe={"reportdata": bound + bytes(32)}))
    refused(good(kind, key=key, auth=auth, qe={"reportdata": bound + bytes(31) + b"\1"}), "G202")


def test_every_family_is_new() -> None:
    assert DevelopmentPki.create(NOW).root.der != PKI.root.der


def _leaf(extension: bytes | None, *, critical: bool = False) -> pki.Holder:
    return pki.issue(
        pki.LEAF,
        begin=PKI.issued,
        life=pki.LEAF_LIFE,
        above=PKI.platform_ca,
        extension=extension,
        critical=critical,
    )


@BOTH
def test_a_platform_certificate_whose_extension_cannot_be_read(kind: QuoteKind) -> None:
    """It names nobody: no claims of a machine, and words for whoever looks."""
    value = PKI.machine.leaf.certificate.extensions.get_extension_for_oid(
        library.ObjectIdentifier("1.2.840.113741.1.13.1")
    ).value.public_bytes()
    for extension in (None, value + b"\0", value[:-1] + b"\1"):
        machine = replace(PKI.machine, leaf=_leaf(extension))
        case = good(kind, machine=machine)
        report = case.report()
        assert {c.code.id for c in report.checks if c.outcome == "failed"} == {"G206"}
        assert report.presented is not None
        assert report.presented.instance == ""
        platform = tdx.PLATFORM if kind.tdx else sgx.PLATFORM
        assert "cannot be read" in dict(platform.fields(case.data))["pck"]
    machine = replace(PKI.machine, leaf=_leaf(value))
    accepted(good(kind, machine=machine))
    machine = replace(PKI.machine, leaf=_leaf(value, critical=True))
    refused(good(kind, machine=machine), "G102")


@BOTH
def test_a_built_in_root_ages(kind: QuoteKind) -> None:
    """Past its review date a root leaves the answer open; the day itself still counts."""
    case = good(kind)
    for review, open_questions in ((NOW, set()), (NOW - timedelta(seconds=1), {"R103"})):
        roots = [replace(root, review_by=review) for root in PKI.roots()]
        report = case.report(trust=roots)
        if open_questions:
            refused(case, undecided=open_questions, trust=roots)
        else:
            assert report.verdict is Verdict.ACCEPTED


@BOTH
def test_the_same_root_key_in_another_certificate(kind: QuoteKind) -> None:
    """Issued anew under the same key it is the root; with anything changed that the key did not sign, not."""
    again = (
        library.CertificateBuilder()
        .subject_name(PKI.root.certificate.subject)
        .issuer_name(PKI.root.certificate.subject)
        .public_key(PKI.root.key.public_key())
        .serial_number(99)
        .not_valid_before(PKI.issued)
        .not_valid_after(PKI.issued + timedelta(days=99))
        .add_extension(library.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            PKI.root.certificate.extensions.get_extension_for_class(library.KeyUsage).value,
            critical=True,
        )
    )
    for key, right in ((PKI.root.key, True), (OTHER.root.key, False)):
        pem = again.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        case = good(kind, chain=(PKI.machine.leaf.pem, PKI.platform_ca.pem, pem))
        if right:
            accepted(case)
        else:
            refused(case, "G102")
