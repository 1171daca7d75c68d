"""Certificates shaped like those of services that sign tokens, under a development root; never shipped."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

ORGANISATION: Final = "troth development"
LEAF_LIFE: Final = timedelta(days=2)
AUTHORITY_LIFE: Final = timedelta(days=3650)
QUOTE: Final = ObjectIdentifier("1.3.6.1.4.1.311.105.1")
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A certificate and the key that belongs to it."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def der(self) -> bytes:
        """The certificate's DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate as PEM, for `--trust`."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A new key."""
    return rsa.generate_private_key(65537, bits)


def p384_key() -> ec.EllipticCurvePrivateKey:
    """A new key."""
    return ec.generate_private_key(ec.SECP384R1())


def spki(key: PrivateKey) -> bytes:
    """The public key's SubjectPublicKeyInfo, DER."""
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def issue(
    name: str,
    key: PrivateKey,
    *,
    begin: datetime,
    above: Holder | None = None,
    authority: bool | None = False,
    life: timedelta | None = None,
    quote: bytes = b"",
) -> Holder:
    """A certificate.

    Args:
        name: its common name.
        key: whose it is.
        begin: from when it is valid.
        above: who signs; None is itself.
        authority: what the basic constraints say; None leaves them away, as NVIDIA's leaves do.
        life: how long; None is as usual for its kind.
        quote: what Azure's enclaves put into theirs, with its header; none if empty.
    """
    subject = _name(name)
    digest = hashes.SHA384() if isinstance(key, ec.EllipticCurvePrivateKey) else hashes.SHA256()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.certificate.subject if above else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + (life or (AUTHORITY_LIFE if authority else LEAF_LIFE)))
    )
    if authority is not None:
        limits = x509.BasicConstraints(ca=authority, path_length=None)
        builder = builder.add_extension(limits, critical=True)
    builder = builder.add_extension(_usage(authority=bool(authority)), critical=True)
    if quote:
        builder = builder.add_extension(x509.UnrecognizedExtension(QUOTE, quote), critical=False)
    signer: Any = above.key if above else key
    if above is not None:
        small = isinstance(above.key, ec.EllipticCurvePrivateKey)
        digest = hashes.SHA384() if small else hashes.SHA256()
    return Holder(certificate=builder.sign(signer, digest), key=key)


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
