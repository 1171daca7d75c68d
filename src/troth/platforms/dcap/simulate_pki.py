"""Certificates and revocation lists shaped like Intel's, under a development root; made, never shipped.

Source: Intel, «SGX PCK Certificate and CRL Profile Specification» 1.5. Common names are Intel's, for
they are the roles that a verifier looks at; every subject carries the organisation `ORGANISATION`, so
that no certificate of this family can be taken for the vendor's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

ORGANISATION: Final = "troth development"
ROOT: Final = "Intel SGX Root CA"
PLATFORM_CA: Final = "Intel SGX PCK Platform CA"
PROCESSOR_CA: Final = "Intel SGX PCK Processor CA"
LEAF: Final = "Intel SGX PCK Certificate"
SIGNER: Final = "Intel SGX TCB Signing"

# Lifetimes about as Intel's certificates and lists have them.
ROOT_LIFE: Final = timedelta(days=11000)
AUTHORITY_LIFE: Final = timedelta(days=5479)
LEAF_LIFE: Final = timedelta(days=2557)
LIST_LIFE: Final = timedelta(days=30)

_SGX: Final = bytes.fromhex("2a864886f84d010d01")
_SGX_EXTENSION: Final = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
_BOOLEAN, _INTEGER, _OCTETS, _OID, _ENUMERATED, _SEQUENCE = 0x01, 0x02, 0x04, 0x06, 0x0A, 0x30


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A certificate of the family and the key that belongs to it.

    Attributes:
        certificate: as the library has it.
        key: the private key, on P-256.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        """The certificate's DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def serial(self) -> int:
        """Its serial number."""
        return self.certificate.serial_number


def raw(key: ec.EllipticCurvePrivateKey, signed: bytes) -> bytes:
    """ECDSA on P-256 with SHA-256 as r ‖ s, 32 bytes each, big-endian."""
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as x ‖ y."""
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def issue(
    name: str,
    *,
    begin: datetime,
    life: timedelta,
    above: Holder | None = None,
    path_length: int | None = None,
    authority: bool = False,
    extension: bytes | None = None,
    critical: bool = False,
) -> Holder:
    """Makes a key and its certificate.

    Args:
        name: common name.
        begin: first instant of its validity, to the second.
        life: how long it is valid.
        above: who issues it; None for a root.
        path_length: how many authorities may follow; None for no limit.
        authority: whether it may sign certificates and lists.
        extension: content of the SGX extension, or None for none.
        critical: whether that extension is marked critical; Intel's is not.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    begin = begin.replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if above is None else above.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(authority=authority), critical=True)
        .add_extension(
            x509.BasicConstraints(ca=authority, path_length=path_length if authority else None),
            critical=True,
        )
    )
    if extension is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(_SGX_EXTENSION, extension), critical=critical
        )
    certificate = builder.sign(key if above is None else above.key, hashes.SHA256())
    return Holder(certificate=certificate, key=key)


def revocation_list(
    issuer: Holder, *, begin: datetime, life: timedelta = LIST_LIFE, revoked: Iterable[int] = ()
) -> bytes:
    """DER of a revocation list that names these serial numbers."""
    begin = begin.replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(begin)
        .next_update(begin + life)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for serial in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(begin)
            .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
            .build()
        )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def sgx_extension(
    *,
    ppid: bytes,
    components: Sequence[int],
    pce_svn: int,
    cpu_svn: bytes,
    pce_id: bytes,
    fmspc: bytes,
    sgx_type: int,
    platform_instance: bytes | None,
    configuration: Sequence[bool],
) -> bytes:
    """Content of the SGX extension, in Intel's order.

    Args:
        ppid: 16 bytes that name the platform.
        components: 16 security versions.
        pce_svn: security version of the provisioning enclave.
        cpu_svn: 16 bytes.
        pce_id: 2 bytes.
        fmspc: 6 bytes.
        sgx_type: 0, 1 or 2.
        platform_instance: 16 bytes for the Platform CA's certificates, None for the Processor CA's.
        configuration: dynamic platform, cached keys, SMT; for the Platform CA's.
    """
    versions = [
        _member((2, index), der(_INTEGER, _number(version)))
        for index, version in enumerate((*components, pce_svn), start=1)
    ]
    members = [
        _member((1,), der(_OCTETS, ppid)),
        _member((2,), der(_SEQUENCE, *versions, _member((2, 18), der(_OCTETS, cpu_svn)))),
        _member((3,), der(_OCTETS, pce_id)),
        _member((4,), der(_OCTETS, fmspc)),
        _member((5,), der(_ENUMERATED, bytes((sgx_type,)))),
    ]
    if platform_instance is not None:
        flags = [
            _member((7, index), der(_BOOLEAN, b"\xff" if flag else b"\0"))
            for index, flag in enumerate(configuration, start=1)
        ]
        members += [
            _member((6,), der(_OCTETS, platform_instance)),
            _member((7,), der(_SEQUENCE, *flags)),
        ]
    return der(_SEQUENCE, *members)


def der(tag: int, *parts: bytes) -> bytes:
    """One DER element."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content


def _member(arcs: tuple[int, ...], value: bytes) -> bytes:
    return der(_SEQUENCE, der(_OID, _SGX + bytes(arcs)), value)


def _number(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "simulator"),
        ]
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
