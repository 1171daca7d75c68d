"""OCSP answers: whose signature counts, about which certificate, and when."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp as library
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nvidia.made import ANSWERED, AT, START, ocsp_item

from troth.crypto import issued
from troth.errors import Malformed
from troth.platforms.nvidia import ocsp
from troth.platforms.nvidia.collateral import Shelf
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.revocation import _answers
from troth.platforms.nvidia.simulate import Device
from troth.platforms.nvidia.simulate_pki import (
    ANSWER,
    Authority,
    DevelopmentPki,
    answer,
    authority,
    ocsp_responder,
)


@pytest.fixture(scope="module")
def pair(hopper: Device) -> tuple[Authority, Authority]:
    """A device's certificate and its issuer."""
    return hopper.chain[1], hopper.chain[2]


def about(pair: tuple[Authority, Authority], **options: object) -> bytes:
    return answer(pair[0].certificate, pair[1], ANSWERED, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", Status)
def test_what_an_answer_says(pair: tuple[Authority, Authority], status: Status) -> None:
    found = ocsp.read(about(pair, status=status, nonce=b"n" * 32))
    assert found.status is status
    assert found.serial == pair[0].certificate.serial_number
    assert (found.this_update, found.ends) == (ANSWERED, ANSWERED + ANSWER)
    assert found.nonce == b"n" * 32
    since = ANSWERED - timedelta(days=1) if status in (Status.REVOKED, Status.HOLD) else None
    assert found.revoked_at == since
    reasons = {Status.REVOKED: "keyCompromise", Status.HOLD: "certificateHold"}
    assert found.reason == reasons.get(status, "")
    assert found.is_about(issued.read(pair[0].der), issued.read(pair[1].der))
    assert ocsp.trouble(about(pair, status=status), pair[1].der, AT) == ""


def test_windows(pair: tuple[Authority, Authority]) -> None:
    found = ocsp.read(about(pair))
    assert found.current(ANSWERED) and found.current(ANSWERED + ANSWER)
    assert not found.current(ANSWERED - timedelta(seconds=1))
    assert not found.current(ANSWERED + ANSWER + timedelta(seconds=1))
    endless = ocsp.read(about(pair, life=None))
    assert endless.next_update is None
    assert endless.ends == ANSWERED + ocsp.UNBOUNDED


def test_an_answer_about_another_certificate(
    pair: tuple[Authority, Authority], hopper: Device, blackwell: Device
) -> None:
    found = ocsp.read(about(pair))
    me, above = issued.read(pair[0].der), issued.read(pair[1].der)
    assert not found.is_about(issued.read(hopper.chain[0].der), above)
    assert not found.is_about(me, issued.read(blackwell.chain[2].der))
    # An authority of the same name and another key.
    twin = authority("NVIDIA GH100 Provisioner ICA 1", hopper.chain[3], START, AT)
    assert issued.read(twin.der).subject == above.subject
    assert not found.is_about(me, issued.read(twin.der))


def test_signed_by_the_authority_itself(pair: tuple[Authority, Authority]) -> None:
    own = about(pair, responder=pair[1])
    assert ocsp.trouble(own, pair[1].der, AT) == ""


def test_responders_that_may_not_sign(
    pair: tuple[Authority, Authority], hopper: Device, pki: DevelopmentPki
) -> None:
    issuer = pair[1]
    day = timedelta(days=1)
    for responder, words in (
        (ocsp_responder(issuer, START, signs_answers=False), "may not sign OCSP answers"),
        (ocsp_responder(hopper.chain[3], ANSWERED - day), "issuer's name is not the next"),
        (ocsp_responder(DevelopmentPki.create(START).provisioners["hopper"], START), "not verify"),
        (authority("x", issuer, START, AT), "is an authority"),
        (pki.rim_signers["GH100"][0], "issuer's name is not the next"),
        (hopper.leaf, "issuer's name is not the next"),
    ):
        found = ocsp.trouble(about(pair, responder=responder), issuer.der, ANSWERED)
        assert words in found, (words, found)


def test_a_responder_whose_own_certificate_ended(pair: tuple[Authority, Authority]) -> None:
    late = about(pair, responder=ocsp_responder(pair[1], ANSWERED - timedelta(days=40)))
    assert "ended" in ocsp.trouble(late, pair[1].der, ANSWERED)
    early = about(pair, responder=ocsp_responder(pair[1], ANSWERED + timedelta(days=1)))
    assert "not before" in ocsp.trouble(early, pair[1].der, ANSWERED)


def test_a_responder_on_another_curve(pair: tuple[Authority, Authority]) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from troth.platforms.nvidia.simulate_pki import issue, subject

    small = issue(
        subject("small"),
        pair[1],
        (START, AT),
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
        ],
        key=ec.generate_private_key(ec.SECP256R1()),
    )
    # SHA-384 on P-256: troth's pairs are fixed.
    assert "no P-384 key" in ocsp.trouble(about(pair, responder=small), pair[1].der, ANSWERED)


@pytest.mark.parametrize(
    "status", [s for s in library.OCSPResponseStatus if s.name != "SUCCESSFUL"]
)
def test_refusals(status: library.OCSPResponseStatus) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    der = library.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    with pytest.raises(Malformed, match="is a refusal"):
        ocsp.read(der)


def test_nonces_are_asked_for_and_echoed(pair: tuple[Authority, Authority]) -> None:
    me, above = issued.read(pair[0].der), issued.read(pair[1].der)
    bare = ocsp.request(me, above)
    asked = ocsp.with_nonce(bare, b"n" * 32)
    assert asked == ocsp.request(me, above, nonce=b"n" * 32)
    assert bare == ocsp.request(me, above)  # an address that is the same each time
    read = library.load_der_ocsp_request(asked)
    assert read.serial_number == me.serial
    good = about(pair, nonce=b"n" * 32)
    assert ocsp.echoes(good, b"n" * 32)
    assert not ocsp.echoes(good, b"m" * 32)
    assert not ocsp.echoes(about(pair), b"n" * 32)
    assert ocsp.another(good, bare) == ""


def test_an_answer_to_another_request(pair: tuple[Authority, Authority], hopper: Device) -> None:
    other = ocsp.request(issued.read(hopper.chain[2].der), issued.read(hopper.chain[3].der))
    assert ocsp.another(about(pair), other) == "is about another certificate"
    with pytest.raises(Malformed, match="OCSP request"):
        ocsp.another(about(pair), b"junk")


def test_every_truncation_and_more(pair: tuple[Authority, Authority]) -> None:
    der = about(pair)
    for size in range(len(der)):
        with pytest.raises(Malformed):
            ocsp.read(der[:size])
    with pytest.raises(Malformed):
        ocsp.read(der + b"\0")
    with pytest.raises(Malformed, match="larger"):
        ocsp.read(der + bytes(64 * 1024))


@given(st.binary(max_size=200))
def test_junk(data: bytes) -> None:
    with pytest.raises(Malformed):
        ocsp.read(data)


def _built(pair: tuple[Authority, Authority], *, sha512: bool, critical: bool) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    builder = (
        library.OCSPResponseBuilder()
        .add_response(
            cert=pair[0].certificate,
            issuer=pair[1].certificate,
            algorithm=hashes.SHA512() if sha512 else hashes.SHA384(),
            cert_status=library.OCSPCertStatus.GOOD,
            this_update=ANSWERED,
            next_update=None,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(library.OCSPResponderEncoding.HASH, pair[1].certificate)
    )
    oid = x509.ObjectIdentifier("1.2.3.4")
    builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\5\0"), critical)
    return builder.sign(pair[1].key, hashes.SHA384()).public_bytes(Encoding.DER)


def test_forms_that_are_not_used(pair: tuple[Authority, Authority]) -> None:
    assert ocsp.trouble(_built(pair, sha512=False, critical=False), pair[1].der, AT) == ""
    with pytest.raises(Malformed, match="names its certificate by sha512"):
        ocsp.read(_built(pair, sha512=True, critical=False))
    with pytest.raises(Malformed, match=r"critical extension 1\.2\.3\.4"):
        ocsp.read(_built(pair, sha512=False, critical=True))


def test_what_is_remembered_of_an_answer_holds_from_its_instant_on(
    pair: tuple[Authority, Authority],
) -> None:
    """Before it was made its responder may not have been one yet; that is worked out each time."""
    responder = ocsp_responder(pair[1], ANSWERED - timedelta(hours=1))
    item = ocsp_item(about(pair, responder=responder))
    link = issued.read(pair[0].der), issued.read(pair[1].der)
    found = ocsp.read(item.data)
    shelf = Shelf(rims=(), answers={found.serial: ((item, found),)}, trouble=(), missing="")
    early = ANSWERED - timedelta(days=2)
    for at, counts in ((AT, True), (early, False), (AT, True), (early, False)):
        good, wrong = _answers(*link, shelf, at)
        assert (bool(good), bool(wrong)) == (counts, not counts)
    assert list(shelf.remembered.values()) == [""]
