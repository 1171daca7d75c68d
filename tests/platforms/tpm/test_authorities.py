"""What stands above an attestation key: certificates that are wrong in one chosen place."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.platforms.tpm import made
from tests.platforms.tpm.made import AT, NONCE, appraised, failing, still_open

from troth.crypto import issued
from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.platforms.tpm import authorities
from troth.platforms.tpm.simulate_pki import AIK_PURPOSE
from troth.wire.x509 import KEY_USAGE

Extensions = Sequence[tuple[x509.ExtensionType, bool]]
AIK = (x509.ExtendedKeyUsage([AIK_PURPOSE]), False)
NO_AUTHORITY = (x509.BasicConstraints(ca=False, path_length=None), True)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")


def usage(*, signs: bool = True, certifies: bool = False) -> tuple[x509.KeyUsage, bool]:
    flags = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=signs, key_cert_sign=certifies, **flags), True


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(
    subject: str, key: object, issuer: x509.Name, signer: object, extensions: Extensions
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer)
        .public_key(key)  # type: ignore[arg-type]
        .serial_number(1)
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]


def leaf(*extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    """A certificate of the attestation key under the development intermediate."""
    above = made.pki().intermediate
    key = load_der_public_key(made.key().ak)
    found = issue("ak", key, above.certificate.subject, above.key, extensions)
    return found.public_bytes(Encoding.DER)


def wrong(certificate: bytes, *more: bytes) -> set[str]:
    data = made.booted().evidence(NONCE, certificates=[certificate, *more])
    return failing(appraised(data))


def test_a_leaf_that_is_right() -> None:
    assert wrong(leaf(usage(), AIK)) == set()
    assert wrong(leaf(usage(), AIK, NO_AUTHORITY)) == set()
    alternative = x509.SubjectAlternativeName([x509.DNSName("a.example")])
    assert wrong(leaf(usage(), AIK, (alternative, True))) == set()
    assert wrong(leaf(usage(), AIK, (UNKNOWN, False))) == set()


@pytest.mark.parametrize(
    "extensions",
    [
        (AIK,),
        (usage(signs=False, certifies=True), AIK),
        (usage(), AIK, (x509.BasicConstraints(ca=True, path_length=None), True)),
        (usage(), AIK, (UNKNOWN, True)),
        (usage(), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)),
    ],
    ids=["no usage", "may not sign data", "an authority", "unknown and critical", "of a server"],
)
def test_a_leaf_that_is_wrong(extensions: Extensions) -> None:
    assert wrong(leaf(*extensions)) == {"G102"}


def chain(length: int, *extra: tuple[x509.ExtensionType, bool]) -> list[bytes]:
    """The key's certificate under this many authorities, of which the last is the development root."""
    pki = made.pki()
    authority = (x509.BasicConstraints(ca=True, path_length=None), True)
    above = [(pki.root.certificate.subject, pki.root.key)]
    found = [pki.root.certificate]
    for number in range(length - 1):
        key = ec.generate_private_key(ec.SECP256R1())
        issuer, signer = above[-1]
        extensions = (authority, usage(certifies=True), *extra)
        found.append(issue(f"ca {number}", key.public_key(), issuer, signer, extensions))
        above.append((name(f"ca {number}"), key))
    key_of_tpm = load_der_public_key(made.key().ak)
    found.append(issue("ak", key_of_tpm, *above[-1], (usage(), AIK)))
    return [certificate.public_bytes(Encoding.DER) for certificate in reversed(found)]


def test_authorities_of_any_number_up_to_four() -> None:
    for length in (1, 2, 4):
        data = made.booted().evidence(NONCE, certificates=chain(length))
        assert appraised(data).verdict is Verdict.ACCEPTED, length
    report = appraised(made.booted().evidence(NONCE, certificates=chain(5)))
    assert report.verdict is Verdict.UNDECIDED
    assert {"G101", "R201"} <= still_open(report)


def test_an_authority_with_an_unknown_critical_extension() -> None:
    data = made.booted().evidence(NONCE, certificates=chain(2, (UNKNOWN, True)))
    assert failing(appraised(data, collateral=Collateral())) == {"G102"}
    alternative = x509.SubjectAlternativeName([x509.DNSName("a.example")])
    data = made.booted().evidence(NONCE, certificates=chain(2, (alternative, True)))
    assert failing(appraised(data, collateral=Collateral())) == {"G102"}


def test_another_attestation_keys_certificate_is_no_authority() -> None:
    """An attestation key that issues a certificate of another key."""
    pki = made.pki()
    key = ec.generate_private_key(ec.SECP256R1())
    middle = issue(
        "an ak",
        key.public_key(),
        pki.intermediate.certificate.subject,
        pki.intermediate.key,
        (usage(), AIK),
    )
    below = issue("ak", load_der_public_key(made.key().ak), middle.subject, key, (usage(), AIK))
    ders = [one.public_bytes(Encoding.DER) for one in (below, middle)]
    assert wrong(*ders) == {"G102"}


def test_of_two_certificates_of_one_key_the_trusted_one_counts() -> None:
    """A root that is pinned whole, and the same key and name under an authority that nobody knows."""
    pki = made.pki()
    key = ec.generate_private_key(ec.SECP256R1())
    root = pki.root.certificate
    crossed = (
        x509.CertificateBuilder()
        .subject_name(root.subject)
        .issuer_name(name("nobody"))
        .public_key(root.public_key())
        .serial_number(2)
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(*usage(certifies=True))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    middle, der = pki.chain
    pinned = replace(pki.trusted(), key_sha256="")
    for certificates in ((middle, crossed, der), (crossed, der, middle), (der, crossed, middle)):
        data = made.booted().evidence(NONCE, certificates=[made.certificate(), *certificates])
        report = appraised(data, cloud=None, trust=(pinned,))
        assert report.verdict is Verdict.ACCEPTED, failing(report)
    # Where the key alone is pinned, a certificate that it did not sign says nothing true of it.
    data = made.booted().evidence(NONCE, certificates=[made.certificate(), middle, crossed])
    assert failing(appraised(data, cloud=None, trust=(pki.trusted(),))) == {"G102"}


def test_a_certificate_that_stands_alone_is_asked_what_it_is() -> None:
    """Whose authorities are not at hand: that it is no key's to sign data is said all the same."""
    good = issued.read(made.certificate())
    alone = authorities.Path(certificates=(good,), items=(), root=None)
    assert authorities.problems(alone) == []
    usage = {name: v for name, v in good.extensions.items() if name != KEY_USAGE}
    silent = replace(good, extensions=usage)
    assert authorities.problems(replace(alone, certificates=(silent,))) == [
        f"{issued.title(good)}: may not sign data"
    ]
