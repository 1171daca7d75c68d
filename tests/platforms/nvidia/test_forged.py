"""Forged roots, answers and documents: they count nothing, and whoever needs one is told why."""

import dataclasses
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.platforms.nvidia.made import (
    ANSWERED,
    AT,
    NONCE,
    START,
    answers,
    failing,
    judged,
    ocsp_item,
    of,
    rim_item,
    rims,
    still_open,
    without,
)

from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.platforms.nvidia import device
from troth.platforms.nvidia.format import parse
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.simulate import Device, collateral, rim
from troth.platforms.nvidia.simulate_pki import (
    FOREVER,
    Authority,
    DevelopmentPki,
    answer,
    authority,
    issue,
    ocsp_responder,
)


def reissued(root: Authority, signer: ec.EllipticCurvePrivateKey) -> Authority:
    """The root's name and key in a certificate of another date, signed by anybody."""
    old = root.certificate
    builder = x509.CertificateBuilder(
        issuer_name=old.issuer,
        subject_name=old.subject,
        public_key=old.public_key(),
        serial_number=7,
        not_valid_before=START - timedelta(days=9000),
        not_valid_after=FOREVER,
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return Authority(key=root.key, certificate=builder.sign(signer, hashes.SHA384()))


@pytest.fixture(scope="module")
def stranger() -> DevelopmentPki:
    return DevelopmentPki.create(START)


def test_a_root_with_the_right_key_that_somebody_else_wrote(
    hopper: Device, held: Collateral
) -> None:
    """Its names and dates are then anybody's. Only the key itself can issue its certificate anew."""
    root = hopper.pki.device_root
    forged = reissued(root, ec.generate_private_key(ec.SECP384R1()))
    body = hopper.report(NONCE) + b"".join(m.pem for m in hopper.chain[:-1])
    found = judged(hopper, held, evidence=body + forged.pem)
    assert failing(found) == {"G102"}
    assert "its signature does not verify" in of(found.checks, "G102")[0].why
    honest = reissued(root, root.key)
    assert judged(hopper, held, evidence=body + honest.pem).verdict is Verdict.ACCEPTED


def test_a_document_under_such_a_root(hopper: Device, held: Collateral) -> None:
    version, golden = hopper.golden()[0]
    root = hopper.pki.rim_root
    rest = without(held, rims(held)[0])
    for signer, failed in (
        (ec.generate_private_key(ec.SECP384R1()), {"G204"}),
        (root.key, set()),
    ):
        signers = (*hopper.pki.rim_signers["GH100"], reissued(root, signer))
        document = rim(hopper.pki, "GH100", version, golden, signers=signers)
        found = judged(hopper, rest + Collateral(items=(rim_item(document),)))
        assert failing(found) == failed


def test_a_signer_that_the_chain_did_not_certify(
    hopper: Device, held: Collateral, stranger: DevelopmentPki
) -> None:
    """NVIDIA's own certificates above, the right names all the way, and a key of one's own."""
    version, golden = hopper.golden()[0]
    own, real = stranger.rim_signers["GH100"], hopper.pki.rim_signers["GH100"]
    rest = without(held, rims(held)[0])
    for signers in (
        (own[0], *real[1:], hopper.pki.rim_root),
        (own[0], own[1], real[2], hopper.pki.rim_root),
        (*own, hopper.pki.rim_root),
        (real[0], real[2], hopper.pki.rim_root),
        (real[1], real[2], hopper.pki.rim_root),  # an authority that signs documents itself
    ):
        document = rim(hopper.pki, "GH100", version, golden, signers=signers)
        found = judged(hopper, rest + Collateral(items=(rim_item(document),)))
        assert "G204" in failing(found)
        assert found.verdict is Verdict.REJECTED


def test_answers_that_nobody_stands_behind(
    hopper: Device, held: Collateral, stranger: DevelopmentPki
) -> None:
    """Each says «good» of the right certificate, and leaves the question open with the reason why."""
    chain = hopper.chain
    asked = ocsp_item(answer(chain[1].certificate, chain[2], ANSWERED))
    mine = [a for a in answers(held) if _serial(a.data) == chain[1].certificate.serial_number]
    rest = without(held, *mine)
    assert judged(hopper, rest + Collateral(items=(asked,))).verdict is Verdict.ACCEPTED
    day = timedelta(days=1)
    for responder, words in (
        (stranger.provisioners["hopper"], "its signature does not verify"),
        (ocsp_responder(stranger.provisioners["hopper"], ANSWERED - day), "does not verify"),
        (ocsp_responder(chain[3], ANSWERED - day), "issuer's name"),
        (ocsp_responder(chain[2], ANSWERED - day, signs_answers=False), "may not sign OCSP"),
        (ocsp_responder(chain[2], ANSWERED - 40 * day), "ended"),
        (authority("x", chain[2], START, FOREVER), "is an authority"),
        (chain[1], "is an authority"),
    ):
        forged = answer(chain[1].certificate, chain[2], ANSWERED, responder=responder)
        found = judged(hopper, rest + Collateral(items=(ocsp_item(forged),)))
        assert failing(found) == set()
        assert {"R203", "R204"} <= still_open(found), words
        assert words in of(found.checks, "R204")[0].why


def test_an_answer_for_another_certificate_of_the_same_number(
    hopper: Device, held: Collateral
) -> None:
    """Serial numbers are unique to an authority; another one can answer for its own."""
    chain = hopper.chain
    number = chain[1].certificate.serial_number
    twin = issue(
        chain[1].certificate.subject,
        chain[3],
        (START, FOREVER),
        [(e.value, e.critical) for e in chain[1].certificate.extensions][:2],
        serial=number,
    )
    mine = [a for a in answers(held) if _serial(a.data) == number]
    other = ocsp_item(answer(twin.certificate, chain[3], ANSWERED))
    found = judged(hopper, without(held, *mine) + Collateral(items=(other,)))
    assert failing(found) == set()
    assert {"R203", "R204"} <= still_open(found)
    assert "about another certificate" in of(found.checks, "R204")[0].why
    revoked = answer(twin.certificate, chain[3], ANSWERED, status=Status.REVOKED)
    mixed = held + Collateral(items=(ocsp_item(revoked),))
    assert judged(hopper, mixed).verdict is Verdict.ACCEPTED


def test_a_forged_revocation_revokes_nothing(
    hopper: Device, held: Collateral, stranger: DevelopmentPki
) -> None:
    chain = hopper.chain
    forged = answer(
        chain[1].certificate,
        chain[2],
        ANSWERED,
        status=Status.REVOKED,
        responder=stranger.provisioners["hopper"],
    )
    mixed = held + Collateral(items=(ocsp_item(forged),))
    assert judged(hopper, mixed).verdict is Verdict.ACCEPTED


def test_what_was_found_at_one_instant_is_not_kept_for_others(hopper: Device) -> None:
    """An answer of the future, whose responder is not valid yet, counts when its time has come."""
    held = collateral([hopper], ANSWERED)
    early = judged(hopper, held, at=ANSWERED - timedelta(days=3))
    assert {"R203", "R204"} <= still_open(early)
    assert judged(hopper, held).verdict is Verdict.ACCEPTED
    again = judged(hopper, held, at=ANSWERED - timedelta(days=3))
    assert still_open(again) == still_open(early)


def test_a_revocation_says_since_when_and_why(hopper: Device) -> None:
    held = collateral([hopper], ANSWERED, status={hopper.chain[1].der: Status.REVOKED})
    (check, *_) = of(judged(hopper, held).checks, "R203")
    day = f"{ANSWERED - timedelta(days=1):%Y-%m-%d}"
    assert check.presented.startswith(f"revoked since {day}")
    assert "keyCompromise" in check.presented
    assert check.subject == "GH100 A01 GSP BROM"


def test_the_order_of_what_is_at_hand_does_not_matter(hopper: Device, held: Collateral) -> None:
    turned = Collateral(items=tuple(reversed(held.items)))
    assert judged(hopper, turned).verdict is Verdict.ACCEPTED
    assert timedelta(days=1) > AT - ANSWERED


def test_documents_that_two_signers_signed(hopper: Device) -> None:
    """Driver and VBIOS may come from different signers: both are asked about."""
    other = dataclasses.replace(
        hopper.pki, rim_signers={"GH100": _renewed(hopper.pki, hopper.pki.rim_root)}
    )
    version, golden = hopper.golden()[1]
    document = rim(other, "GH100", version, golden)
    base = collateral([hopper], ANSWERED)
    mixed = without(base, rims(base)[1]) + Collateral(items=(rim_item(document),))
    found = judged(hopper, mixed)
    assert failing(found) == set()
    assert still_open(found) == {"R203", "R204"}
    missing = Collateral(
        items=tuple(
            ocsp_item(answer(child.certificate, issuer, ANSWERED))
            for child, issuer in (
                (other.rim_signers["GH100"][0], other.rim_signers["GH100"][1]),
                (other.rim_signers["GH100"][1], other.rim_signers["GH100"][2]),
            )
        )
    )
    assert judged(hopper, mixed + missing).verdict is Verdict.ACCEPTED


def _renewed(pki: DevelopmentPki, root: Authority) -> tuple[Authority, ...]:
    """Another L3 and L4 below the same authority."""
    above = pki.rim_signers["GH100"][2]
    middle = authority(
        "NVIDIA Reference Value L3 GH100 002", above, START, AT + timedelta(days=900), depth=0
    )
    old = pki.rim_signers["GH100"][0].certificate
    leaf = issue(
        old.subject,
        middle,
        (START, AT + timedelta(days=900)),
        [(e.value, e.critical) for e in old.extensions][:2],
    )
    assert root.certificate.subject == above.certificate.issuer
    return (leaf, middle, above)


def _serial(der: bytes) -> int:
    from troth.platforms.nvidia import ocsp

    return ocsp.read(der).serial


def _certified(device: Device, **changes: object) -> Device:
    """The device with a leaf of another make, which it certified itself."""
    old = device.leaf.certificate
    values = [(e.value, e.critical) for e in old.extensions]
    kept = [pair for pair in values if not isinstance(pair[0], x509.SubjectKeyIdentifier)]
    extensions = changes.get("extensions", lambda pairs: pairs)(kept)  # type: ignore[operator]
    key = changes.get("key")
    leaf = issue(old.subject, device.brom, (START, FOREVER), extensions, key=key or device.leaf.key)  # type: ignore[arg-type]
    return dataclasses.replace(device, leaf=leaf)


def _named(value: bytes | None, oid: str) -> object:
    """What puts this in the place of the firmware's name, or leaves it out."""
    new = (x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value or b""), False)

    def change(pairs: list[tuple[x509.ExtensionType, bool]]) -> list[object]:
        kept = [p for p in pairs if not isinstance(p[0], x509.UnrecognizedExtension)]
        return [*kept, new] if value is not None else list(kept)

    return change


OLD, NEW = "2.23.133.5.4.1", "2.23.133.5.4.1.1"
DIGEST = bytes.fromhex("303d06096086480165030402020430") + b"\xf1" * 48


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        (OLD, None),
        (OLD, b""),
        (OLD, b"\x30\x00"),
        (OLD, b"\x30\x43" + b"\x02\x01\x01" + b"\x30\x00" + DIGEST[:-1] + b"\0"),
        (OLD, b"\x30\x44" + b"\x02\x01\x01" + b"\x30\x00" + DIGEST + b"\0"),
        (NEW, b"\x30\x00"),
        (NEW, b"\x30\x03\x80\x01\x41"),
        (NEW, b"\x30\x41\xa6\x3f" + DIGEST.replace(b"\x02\x02\x04", b"\x02\x01\x04")),
        (NEW, b"\x30\x44\xa6\x3f" + DIGEST + b"\x80\x01\x41"),
    ],
)
def test_a_leaf_that_does_not_name_its_firmware(
    hopper: Device, held: Collateral, oid: str, value: bytes | None
) -> None:
    device = _certified(hopper, extensions=_named(value, oid))
    assert "G303" in failing(judged(hopper, held, evidence=device.evidence(NONCE)))


def test_a_leaf_that_names_it_in_the_newer_form(hopper: Device, held: Collateral) -> None:
    device = _certified(hopper, extensions=_named(b"\x30\x41\xa6\x3f" + DIGEST, NEW))
    found = judged(hopper, held, evidence=device.evidence(NONCE))
    assert found.verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("curve", [ec.SECP521R1(), ec.SECP256R1(), ec.SECP256K1()])
def test_a_leaf_on_another_curve(hopper: Device, held: Collateral, curve: ec.EllipticCurve) -> None:
    device = _certified(hopper, key=ec.generate_private_key(curve))
    report = hopper.report(NONCE)
    assert failing(judged(hopper, held, evidence=report + device.pem)) == {"G104"}


def test_certificates_of_no_device(hopper: Device) -> None:
    document = parse(hopper.evidence(NONCE))
    stranger = dataclasses.replace(document, chain=(document.chain[-1], *document.chain[1:]))
    assert "no device that troth knows" in "; ".join(device.misfits(stranger))
