"""A development PKI shaped like AWS's: root, region, zonal, instance, leaf; made per user, never shipped.

Only the root is kept. What stands below it is issued anew for each simulated NSM, because AWS's own
lower certificates live for days and hours. Every subject carries the organisation `ORGANISATION`, so
that no certificate of this family can be taken for a vendor's.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from troth.errors import Malformed
from troth.model.roots import Root, RootClass

ORGANISATION: Final = "troth development"
REGION: Final = "development"
_SUFFIX: Final = "troth"

# Lifetimes as AWS's certificates have them.
_ROOT_LIFE: Final = timedelta(days=10958, hours=1)
_REGION_LIFE: Final = timedelta(days=20, hours=1)
_ZONAL_LIFE: Final = timedelta(days=5, hours=15)
_INSTANCE_LIFE: Final = timedelta(days=1)
_LEAF_BEFORE: Final = timedelta(seconds=3)
_LEAF_LIFE: Final = timedelta(hours=3)
# Real documents were seen up to 26 minutes after the leaf's start, so a leaf is used again until then.
_LEAF_USE: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A certificate authority of the family: its certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """What signs one enclave's documents for half an hour.

    Attributes:
        certificate: DER of the leaf.
        cabundle: DER of root, region, zonal and instance, in this order.
        key: the leaf's private key.
        use_from: first instant at which the leaf is valid.
        use_until: instant from which the simulator issues another one, hours before this one ends.
    """

    certificate: bytes
    cabundle: tuple[bytes, ...]
    key: ec.EllipticCurvePrivateKey
    use_from: datetime
    use_until: datetime

    def serves(self, now: datetime) -> bool:
        """Whether a document made now is to be signed with this leaf."""
        return self.use_from <= now < self.use_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """Root to instance for one simulated parent instance.

    Attributes:
        instance: the parent instance's id, such as `i-0123456789abcdef0`.
        issuers: root, region, zonal, instance.
    """

    instance: str
    issuers: tuple[Issuer, Issuer, Issuer, Issuer]

    def serves(self, now: datetime) -> bool:
        """Whether every certificate stays valid for as long as a leaf issued now."""
        return all(
            ca.certificate.not_valid_before_utc <= now
            and now + _LEAF_LIFE <= ca.certificate.not_valid_after_utc
            for ca in self.issuers
        )

    def leaf(self, module_id: str, now: datetime) -> Leaf:
        """Issues the certificate of one enclave."""
        second = now.replace(microsecond=0)
        key = ec.generate_private_key(ec.SECP384R1())
        builder = _builder(
            subject=_name(f"{module_id}.{REGION}.{_SUFFIX}"),
            issuer=self.issuers[-1].certificate.subject,
            key=key.public_key(),
            start=second - _LEAF_BEFORE,
            end=second + _LEAF_LIFE,
        )
        # As the real one: no SKI, no AKI, and a key usage that is not critical.
        builder = builder.add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        ).add_extension(_usage(signature=True, commitment=True), critical=False)
        certificate = builder.sign(self.issuers[-1].key, hashes.SHA384())
        return Leaf(
            certificate=_der(certificate),
            cabundle=tuple(_der(ca.certificate) for ca in self.issuers),
            key=key,
            use_from=second - _LEAF_BEFORE,
            use_until=second + _LEAF_USE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentPki:
    """The root of one user's simulators. Its key never leaves the user's machine.

    Attributes:
        issuer: the self-signed root and its key.
    """

    issuer: Issuer

    @classmethod
    def create(cls, now: datetime) -> Self:
        """Makes a new root, valid from `now` for thirty years."""
        key = ec.generate_private_key(ec.SECP384R1())
        name = _name(f"{secrets.token_hex(8)}.{_SUFFIX}")
        start = now.replace(microsecond=0)
        builder = (
            _builder(
                subject=name,
                issuer=name,
                key=key.public_key(),
                start=start,
                end=start + _ROOT_LIFE,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(_usage(signature=True, issue=True, crl=True), critical=True)
        )
        return cls(issuer=Issuer(certificate=builder.sign(key, hashes.SHA384()), key=key))

    def to_pem_bundle(self) -> str:
        """The root certificate and its unencrypted PKCS#8 key: keep the file at mode 0600."""
        key = self.issuer.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return self.root_pem() + key.decode("ascii")

    @classmethod
    def from_pem_bundle(cls, text: str) -> Self:
        """Reads what `to_pem_bundle` wrote.

        Raises:
            Malformed: the text has no certificate of this family with the P-384 key that belongs to it.
        """
        data = text.encode("utf-8")
        try:
            certificate = x509.load_pem_x509_certificate(data)
            key = serialization.load_pem_private_key(_after(data, b"PRIVATE KEY"), password=None)
        except (ValueError, TypeError) as error:
            raise _bad("is not a PEM certificate followed by its PEM key") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp384r1":
            raise _bad("its key is not on P-384")
        if key.public_key() != certificate.public_key():
            raise _bad("its key does not belong to its certificate")
        names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if [attribute.value for attribute in names] != [ORGANISATION]:
            raise _bad(f"its certificate's organisation is not {ORGANISATION!r}")
        return cls(issuer=Issuer(certificate=certificate, key=key))

    def root_pem(self) -> str:
        """The root certificate alone, as `--trust` takes it."""
        return self.issuer.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def root(self, source: str = "this user's development PKI") -> Root:
        """The root as a verifier takes it, of the development class."""
        return Root(
            platform="nitro",
            sha256=hashlib.sha256(_der(self.issuer.certificate)).hexdigest(),
            root_class=RootClass.DEVELOPMENT,
            source=source,
        )

    def hierarchy(self, instance: str, now: datetime) -> Hierarchy:
        """Issues region, zonal and instance certificates for one simulated parent instance."""
        region = _authority(
            self.issuer, f"{secrets.token_hex(8)}.{REGION}.{_SUFFIX}", 2, now, _REGION_LIFE
        )
        zonal = _authority(
            region, f"{secrets.token_hex(8)}.zonal.{REGION}.{_SUFFIX}", 1, now, _ZONAL_LIFE
        )
        last = _authority(zonal, f"{instance}.{REGION}.{_SUFFIX}", 0, now, _INSTANCE_LIFE)
        return Hierarchy(instance=instance, issuers=(self.issuer, region, zonal, last))


def _authority(
    parent: Issuer, name: str, path_length: int, now: datetime, life: timedelta
) -> Issuer:
    key = ec.generate_private_key(ec.SECP384R1())
    start = now.replace(microsecond=0)
    identifier = parent.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    last = path_length == 0
    builder = (
        _builder(
            subject=_name(name),
            issuer=parent.certificate.subject,
            key=key.public_key(),
            start=start,
            end=start + life,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value), False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(_usage(signature=not last, issue=True, crl=not last), critical=True)
    )
    if not last:
        # The real ones name a revocation list that AWS's text says not to check; `.invalid` resolves
        # nowhere (RFC 6761).
        url = x509.UniformResourceIdentifier(f"http://crl.{_SUFFIX}.invalid/crl/{uuid4()}.crl")
        point = x509.DistributionPoint([url], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return Issuer(certificate=builder.sign(parent.key, hashes.SHA384()), key=key)


def _builder(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _name(common: str) -> x509.Name:
    # A common name has at most 64 characters (RFC 5280, upper bound ub-common-name).
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "simulator"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(
    *,
    signature: bool = False,
    commitment: bool = False,
    issue: bool = False,
    crl: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=commitment,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issue,
        crl_sign=crl,
        encipher_only=False,
        decipher_only=False,
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _after(data: bytes, label: bytes) -> bytes:
    start = data.find(b"-----BEGIN " + label)
    if start < 0:
        raise ValueError("no private key")
    return data[start:]


def _bad(what: str) -> Malformed:
    return Malformed(
        what,
        field="development PKI",
        fix="remove the file; the next simulator run makes a new development PKI",
    )
