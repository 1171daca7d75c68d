"""Development authorities shaped like Azure's and Google's: root, intermediate, attestation keys.

The root alone tells them from the clouds': every subject carries the organisation `troth development`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import NameOID

from troth.model.collateral import Collateral, Item, Kind
from troth.model.roots import Root, RootClass

ORGANISATION: Final = "troth development"
AZURE: Final = "azure"
GOOGLE: Final = "google"
AIK_PURPOSE: Final = x509.ObjectIdentifier("2.23.133.8.3")
EK_PURPOSE: Final = x509.ObjectIdentifier("2.23.133.8.1")
_AZURE_POLICY: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.108.200.1")
_INSTANCE: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.1.21")
_DAY: Final = timedelta(days=1)
_ROOT_LIFE: Final = timedelta(days=9131)
_AUTHORITY_LIFE: Final = timedelta(days=730)
_LEAF_LIFE: Final = timedelta(days=365)
_BITS: Final = 2048

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate of the family and its key."""

    certificate: x509.Certificate
    key: Private


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentPki:
    """One cloud's authorities.

    Attributes:
        cloud: `azure` or `google`: the form of the certificates.
        root, intermediate: the two above each attestation key.
    """

    cloud: str
    root: Authority
    intermediate: Authority

    @classmethod
    def create(cls, cloud: str, *, at: datetime) -> Self:
        """Authorities of which the root is valid for 25 years, the other for two."""
        root_key = rsa.generate_private_key(65537, _BITS)
        key = rsa.generate_private_key(65537, _BITS)
        root_name = _name(f"{cloud} virtual TPM root")
        root = _authority(
            root_name,
            root_name,
            key=root_key,
            signer=root_key,
            at=at,
            life=_ROOT_LIFE,
            below=None,
        )
        below = 0 if cloud == AZURE else None
        name = _name(f"{cloud} virtual TPM CA - 01")
        middle = _authority(
            name, root_name, key=key, signer=root_key, at=at, life=_AUTHORITY_LIFE, below=below
        )
        return cls(
            cloud=cloud,
            root=Authority(certificate=root, key=root_key),
            intermediate=Authority(certificate=middle, key=key),
        )

    def certify(
        self,
        ak: bytes,
        *,
        at: datetime,
        purpose: x509.ObjectIdentifier | None = AIK_PURPOSE,
        production: bool = True,
        signs: bool = True,
    ) -> bytes:
        """A certificate of an attestation key (SubjectPublicKeyInfo), DER.

        Args:
            ak: the key.
            at: when it is issued.
            purpose: its extended key usage where the form is Azure's, or None.
            production: what Google's instance identity says of the host.
            signs: whether the key may sign data; else it enciphers keys.
        """
        key = load_der_public_key(ak)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name("0123456789ab.ConfidentialVM.Azure.windows.net"))
            .issuer_name(self.intermediate.certificate.subject)
            .public_key(key)  # type: ignore[arg-type] # RSA or a curve, as the TPM made it
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - _DAY)
            .not_valid_after(at + _LEAF_LIFE)
            .add_extension(_usage(signs=signs), critical=True)
        )
        if self.cloud == AZURE:
            policy = x509.PolicyInformation(_AZURE_POLICY, None)
            builder = builder.add_extension(x509.CertificatePolicies([policy]), critical=False)
            if purpose is not None:
                builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        else:
            identity = x509.UnrecognizedExtension(_INSTANCE, instance(production=production))
            builder = builder.add_extension(
                x509.BasicConstraints(ca=False, path_length=None), critical=True
            ).add_extension(identity, critical=False)
        return _der(builder.sign(self.intermediate.key, hashes.SHA256()))

    @property
    def chain(self) -> tuple[bytes, bytes]:
        """Intermediate and root, DER."""
        return _der(self.intermediate.certificate), _der(self.root.certificate)

    @property
    def pem(self) -> bytes:
        """Intermediate and root, PEM."""
        pair = (self.intermediate.certificate, self.root.certificate)
        return b"".join(one.public_bytes(Encoding.PEM) for one in pair)

    def collateral(self) -> Collateral:
        """Both as collateral."""
        return Collateral(items=(Item(kind=Kind.TPM_CHAIN, data=self.pem, source="simulated"),))

    def trusted(self) -> Root:
        """The root as a caller names it."""
        certificate = self.root.certificate
        key = certificate.public_key().public_bytes(
            Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return Root(
            platform="tpm",
            sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            key_sha256=_sha256(key),
            root_class=RootClass.DEVELOPMENT,
            source=f"simulated {self.cloud}",
        )


def instance(*, production: bool) -> bytes:
    """Google's instance identity of a machine that is none, DER."""
    flag = b"\1\1\xff" if production else b"\1\1\0"
    properties = _tlv(0x30, _tlv(0xA0, b"\2\1\1"), _tlv(0xA1, flag))
    return _tlv(
        0x30,
        _tlv(0x0C, b"nowhere1-a"),
        b"\2\1\x2a",
        _tlv(0x0C, b"troth-development"),
        b"\2\1\x2b",
        _tlv(0x0C, b"simulated"),
        _tlv(0xA0, properties),
    )


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    *,
    key: rsa.RSAPrivateKey,
    signer: rsa.RSAPrivateKey,
    at: datetime,
    life: timedelta,
    below: int | None,
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _DAY)
        .not_valid_after(at + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(signer, hashes.SHA384())
    )


def _usage(*, signs: bool = False, authority: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=not signs and not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _sha256(data: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize().hex()


def _tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    assert len(body) < 0x80  # noqa: S101 - short forms are enough here
    return bytes([tag, len(body)]) + body
