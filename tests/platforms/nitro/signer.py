"""Signing certificates of every kind, images small enough to write down, and signatures over them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from troth.platforms.nitro.measure import measure
from troth.release import pcr8
from troth.release.keys import FileKey
from troth.wire.eif import Eif, Kind, Section

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@dataclass(frozen=True)
class Identity:
    """A key and its certificate."""

    private: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key(self) -> FileKey:
        return FileKey(private=self.private)

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()
            if passphrase is None
            else serialization.BestAvailableEncryption(passphrase),
        )


def identity(
    private: Any = None,
    *,
    begin: datetime = NOW - DAY,
    end: datetime = NOW + DAY,
    name: str = "release",
    of: Any = None,
) -> Identity:
    """A key with a certificate that it signed itself; `of` puts another public key into it."""
    private = private or ec.generate_private_key(ec.SECP384R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(of or private.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(end)
        .sign(private, hashes.SHA384())
    )
    return Identity(private, certificate)


def image(kernel: bytes = b"kernel", **changes: Any) -> Eif:
    kinds = (
        (Kind.KERNEL, kernel),
        (Kind.COMMAND_LINE, b"console=ttyS0"),
        (Kind.METADATA, b"{}"),
        (Kind.RAMDISK, b"first"),
        (Kind.RAMDISK, b"second"),
    )
    sections = tuple(Section(kind=kind, pieces=(data,)) for kind, data in kinds)
    return Eif(sections=sections, default_memory=1 << 30, default_cpus=2, **changes)


def signature(of: Eif, by: Identity, *, at: datetime = NOW) -> bytes:
    return pcr8.sign(measure(of).pcr0, pem=by.pem, key=by.key, at=at)


def with_section(of: Eif, section: bytes) -> Eif:
    """The image with a signature section, whatever it holds."""
    from dataclasses import replace

    return replace(of, sections=(*of.sections, Section(kind=Kind.SIGNATURE, pieces=(section,))))
