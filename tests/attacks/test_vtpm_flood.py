"""Certificates whose keys take long to check with, as many as a stranger cares to hand over."""

import time
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.platforms.tpm import made
from tests.platforms.tpm.made import AT, NONCE, appraised

from troth.crypto import keys
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Verdict

ITEMS, SECONDS = 120, 3


def public(exponent: int) -> rsa.RSAPublicKey:
    modulus = made.pki().intermediate.key.public_key().public_numbers().n  # type: ignore[union-attr]
    return rsa.RSAPublicNumbers(exponent or modulus - 2, modulus).public_key()


@pytest.mark.parametrize(("exponent", "counts"), [(65537, True), (3, False), (0, False)])
def test_exponents(exponent: int, *, counts: bool) -> None:
    key = public(exponent).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (keys.load(key) is not None) is counts


def test_many_authorities_with_long_exponents_take_no_time() -> None:
    """Each of one name, so that each may have signed the key's certificate: six milliseconds each."""
    pki, machine = made.pki(), made.booted()
    certificate, signer = made.certificate(), ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(pki.intermediate.certificate.subject)
        .issuer_name(pki.root.certificate.subject)
        .public_key(public(0))
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    strangers = [
        builder.serial_number(n + 1).sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
        for n in range(8 * ITEMS)
    ]
    items = tuple(
        Item(kind=Kind.TPM_CHAIN, data=b"".join(strangers[8 * n : 8 * n + 8]), source="a stranger")
        for n in range(ITEMS)
    )
    data = machine.evidence(NONCE, certificates=[certificate])
    began = time.monotonic()
    report = appraised(data, collateral=Collateral(items=items) + pki.collateral())
    assert time.monotonic() - began < SECONDS
    assert report.verdict is Verdict.ACCEPTED
