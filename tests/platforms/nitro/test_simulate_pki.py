"""The development PKI has the shape of AWS's, as the real documents among the vectors show it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from troth.errors import Malformed
from troth.platforms.nitro import format as document_format
from troth.platforms.nitro.simulate import DevelopmentPki
from troth.trust import parse_roots

NOW = datetime(2026, 11, 23, 3, 10, 0, 472_000, tzinfo=UTC)
INSTANCE = "i-0123456789abcdef0"


def chain(pki: DevelopmentPki) -> list[x509.Certificate]:
    leaf = pki.hierarchy(INSTANCE, NOW).leaf(f"{INSTANCE}-enc0123456789abcdef", NOW)
    return [x509.load_der_x509_certificate(der) for der in (*leaf.cabundle, leaf.certificate)]


def shape(certificate: x509.Certificate) -> list[tuple[object, ...]]:
    """Everything of a certificate's profile that is not a name, a key or a date."""
    found: list[tuple[object, ...]] = [
        ("signature", certificate.signature_algorithm_oid.dotted_string),
        ("curve", certificate.public_key().curve.name),
    ]
    for extension in certificate.extensions:
        value = extension.value
        detail: object = None
        if isinstance(value, x509.BasicConstraints):
            detail = (value.ca, value.path_length)
        if isinstance(value, x509.KeyUsage):
            detail = (
                value.digital_signature,
                value.content_commitment,
                value.key_cert_sign,
                value.crl_sign,
            )
        found.append((extension.oid.dotted_string, extension.critical, detail))
    return sorted(found, key=str)


def test_every_certificate_has_the_profile_of_a_real_one(vectors: Path) -> None:
    data = (vectors / "nitro" / "yawn-prod-eu-central-1-2025-01-06.cose").read_bytes()
    document = document_format.parse(data)
    real = [
        x509.load_der_x509_certificate(der) for der in (*document.cabundle, document.certificate)
    ]
    ours = chain(DevelopmentPki.create(NOW))
    assert [shape(one) for one in ours] == [shape(one) for one in real]
    for mine, theirs in zip(ours, real, strict=True):
        life = mine.not_valid_after_utc - mine.not_valid_before_utc
        wanted = theirs.not_valid_after_utc - theirs.not_valid_before_utc
        assert abs(life - wanted) <= timedelta(hours=1)


def test_the_leaf_lives_three_hours_and_three_seconds() -> None:
    leaf = chain(DevelopmentPki.create(NOW))[-1]
    assert leaf.not_valid_before_utc == datetime(2026, 11, 23, 3, 9, 57, tzinfo=UTC)
    assert leaf.not_valid_after_utc == datetime(2026, 11, 23, 6, 10, tzinfo=UTC)


def test_every_subject_says_that_it_is_development() -> None:
    for certificate in chain(DevelopmentPki.create(NOW)):
        names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert [name.value for name in names] == ["troth development"]
        assert "aws" not in certificate.subject.rfc4514_string().lower()


def test_a_root_is_kept_and_read_again() -> None:
    pki = DevelopmentPki.create(NOW)
    again = DevelopmentPki.from_pem_bundle(pki.to_pem_bundle())
    assert again.root_pem() == pki.root_pem()
    assert again.to_pem_bundle() == pki.to_pem_bundle()
    assert chain(again)[0] == chain(pki)[0]


def test_the_root_alone_has_no_key_and_is_of_the_development_class() -> None:
    pki = DevelopmentPki.create(NOW)
    assert "PRIVATE" not in pki.root_pem()
    roots = parse_roots(pki.root_pem().encode(), source="root.pem")  # one for each platform
    assert {root.root_class for root in roots} == {"development"}
    (root,) = (root for root in roots if root.platform == "nitro")
    assert (root.sha256, root.platform) == (pki.root().sha256, pki.root().platform)
    assert pki.root().root_class == "development"


def test_two_users_have_two_roots() -> None:
    assert DevelopmentPki.create(NOW).root().sha256 != DevelopmentPki.create(NOW).root().sha256


def pem_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def test_what_is_no_development_pki(vectors: Path) -> None:
    whole = DevelopmentPki.create(NOW).to_pem_bundle()
    certificate, _, key = whole.partition("-----BEGIN PRIVATE KEY")
    data = (vectors / "nitro" / "yawn-prod-eu-central-1-2025-01-06.cose").read_bytes()
    aws = x509.load_der_x509_certificate(document_format.parse(data).cabundle[0])
    pems = [
        "",
        "text",
        certificate,
        "-----BEGIN PRIVATE KEY" + key,
        certificate + pem_key(ec.generate_private_key(ec.SECP384R1())),
        certificate + pem_key(ec.generate_private_key(ec.SECP256R1())),
        aws.public_bytes(serialization.Encoding.PEM).decode() + "-----BEGIN PRIVATE KEY" + key,
        whole.replace("A", "!", 3),
    ]
    for pem in pems:
        with pytest.raises(Malformed):
            DevelopmentPki.from_pem_bundle(pem)
    for size in range(0, len(whole) - 30, 37):
        with pytest.raises(Malformed):
            DevelopmentPki.from_pem_bundle(whole[:size])


def test_a_certificate_of_another_organisation_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Somebody")])
    other = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA384())
    )
    pem = other.public_bytes(serialization.Encoding.PEM).decode() + pem_key(key)
    with pytest.raises(Malformed, match="organisation"):
        DevelopmentPki.from_pem_bundle(pem)
