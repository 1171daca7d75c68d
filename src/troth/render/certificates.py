"""A certificate in the words a person needs: whose, by whom, when, which key, which fingerprint."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from troth.errors import Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """What is shown of one certificate; nothing here was checked.

    Attributes:
        subject: its name, RFC 4514.
        issuer: the name of who signed it, RFC 4514.
        not_before: start of its validity.
        not_after: end of its validity.
        key: kind of its public key.
        serial: serial number in hex.
        fingerprint: SHA-256 of the DER, hex.
        der: the bytes.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    key: str
    serial: str
    fingerprint: str
    der: bytes


def describe(der: bytes, *, field: str = "certificate") -> CertificateRow:
    """Reads one certificate for display.

    Raises:
        Malformed: the bytes are not an X.509 certificate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        subject, issuer = (
            name.rfc4514_string() for name in (certificate.subject, certificate.issuer)
        )
        # The library reads these late, and knows no year 0 then.
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        serial = f"{certificate.serial_number:x}"
    except Exception as error:  # noqa: BLE001 - more kinds than documented, on hostile DER
        raise Malformed(f"is not an X.509 certificate ({error})", field=field) from None
    match key:
        case ec.EllipticCurvePublicKey():
            kind = f"EC {key.curve.name}"
        case rsa.RSAPublicKey():
            kind = f"RSA {key.key_size}"
        case _:
            kind = type(key).__name__.removesuffix("PublicKey")
    return CertificateRow(
        subject=subject,
        issuer=issuer,
        not_before=not_before,
        not_after=not_after,
        key=kind,
        serial=serial,
        fingerprint=hashlib.sha256(der).hexdigest(),
        der=der,
    )
