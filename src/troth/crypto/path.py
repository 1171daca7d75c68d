"""A certificate path from a pinned root to a leaf, checked link by link at an instant.

The library's own path builder wants a DNS name, which attestation certificates do not carry; so the
path is walked here by RFC 5280 section 6.1, for one profile: ECDSA P-384 with SHA-384.

Does not verify: that the first certificate is one you trust (the caller compares it with its roots),
and revocation (no platform of this profile publishes any that applies to attestation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import SignatureAlgorithmOID

from troth.errors import Malformed
from troth.wire import der

# What the library raises for hostile DER.
LIBRARY_ERRORS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    Warning,  # raised where the interpreter was told to: an environment must not make this a crash
)
_ECDSA_SHA384: Final = ec.ECDSA(hashes.SHA384())
_ALGORITHM: Final = bytes.fromhex("300a06082a8648ce3d040303")  # AlgorithmIdentifier, DER


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What path validation needs of one certificate.

    Attributes:
        der: its bytes, which name it.
        parsed: the library's value; it reads fields late, so all that is needed is read here at once.
        signed: its signed part as it stands.
        algorithm: AlgorithmIdentifier inside the signed part, DER.
        issuer, name: who signed it, and who it is: names in DER, compared byte for byte.
        begins, ends: its validity; both instants belong to it.
        key: its P-384 key, or None where it holds another kind.
        ca: whether it says that it is a certificate authority; None where it says nothing.
        constraints_critical: whether what it says of that must be understood (RFC 5280 section 4.2.1.9).
        path_length: how many authorities may follow, or None for no limit.
        signs_certificates, signs_data: key usage; False where the extension is absent.
        unknown_critical: dotted names of critical extensions that are not understood here.
    """

    der: bytes
    parsed: x509.Certificate
    signed: bytes
    algorithm: bytes
    issuer: bytes
    name: bytes
    begins: datetime
    ends: datetime
    key: ec.EllipticCurvePublicKey | None
    ca: bool | None
    constraints_critical: bool
    path_length: int | None
    signs_certificates: bool
    signs_data: bool
    unknown_critical: tuple[str, ...]

    @property
    def subject(self) -> str:
        """The name, as text for reports; made when asked for, because it is slow."""
        try:
            return self.parsed.subject.rfc4514_string()
        except LIBRARY_ERRORS:
            return f"a name that is no text ({self.name.hex()})"


@lru_cache(maxsize=128)
def read(data: bytes) -> Certificate:
    """Reads one certificate (DER); a pure function of its bytes, remembered for speed.

    Raises:
        Malformed: not exactly one X.509 v3 certificate, or an extension is malformed or doubled.
    """
    try:
        parsed = x509.load_der_x509_certificate(data)
        extensions = parsed.extensions
        key = parsed.public_key()
        begins, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    except LIBRARY_ERRORS as error:
        raise Malformed(f"cannot be read: {error}", field="certificate") from None
    if parsed.version is not x509.Version.v3:
        raise Malformed("is not version 3", field="certificate")
    signed = _signed(data)
    algorithm, issuer, name = _names(signed)
    constraints, constraints_critical, usage = None, False, None
    unknown = []
    for extension in extensions:
        value = extension.value
        if type(value) is x509.BasicConstraints:
            constraints, constraints_critical = value, extension.critical
        elif type(value) is x509.KeyUsage:
            usage = value
        elif extension.critical:
            unknown.append(extension.oid.dotted_string)
    return Certificate(
        der=data,
        parsed=parsed,
        signed=signed,
        algorithm=algorithm,
        issuer=issuer,
        name=name,
        begins=begins,
        ends=ends,
        key=key
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1)
        else None,
        ca=None if constraints is None else constraints.ca,
        constraints_critical=constraints_critical,
        path_length=None if constraints is None else constraints.path_length,
        signs_certificates=usage is not None and usage.key_cert_sign,
        signs_data=usage is not None and usage.digital_signature,
        unknown_critical=tuple(unknown),
    )


def _signed(data: bytes) -> bytes:
    """The signed part, cut out of a certificate (RFC 5280 section 4.1); the library encodes it anew."""
    begin = der.only(data, "certificate", tag=der.SEQUENCE)
    _, end = der.element(data, begin, "tbsCertificate", tag=der.SEQUENCE)
    return data[begin:end]


def _names(signed: bytes) -> tuple[bytes, bytes, bytes]:
    """Signature algorithm, issuer and subject out of the signed part (RFC 5280 section 4.1), in DER.

    The algorithm must be the one outside (4.1.1.2), and the library checks neither that nor names
    without building slow objects.
    """
    at = der.only(signed, "tbsCertificate", tag=der.SEQUENCE)
    _, at = der.element(signed, at, "version", tag=0xA0)
    _, algorithm = der.element(signed, at, "serialNumber", tag=der.INTEGER)
    _, issuer = der.element(signed, algorithm, "signature", tag=der.SEQUENCE)
    _, validity = der.element(signed, issuer, "issuer", tag=der.SEQUENCE)
    _, subject = der.element(signed, validity, "validity", tag=der.SEQUENCE)
    _, end = der.element(signed, subject, "subject", tag=der.SEQUENCE)
    return signed[algorithm:issuer], signed[issuer:validity], signed[subject:end]


def problems(path: Sequence[Certificate]) -> list[str]:
    """Everything that is wrong with a path, root first, leaf last; times aside.

    An empty list means: each certificate is signed by the one before it, names meet, authorities
    are authorities and within their path lengths, and the leaf is one that signs data.
    """
    if len(path) < 2:
        return ["the path needs a root and a leaf"]
    last = len(path) - 1
    found = []
    for index, certificate in enumerate(path):
        wrong = _any(certificate)
        wrong += _leaf(certificate) if index == last else _authority(certificate, last - index - 1)
        if index > 0:
            wrong += _link(certificate.der, path[index - 1].der)
        found += [f"{certificate.subject}: {problem}" for problem in wrong]
    return found


def _any(certificate: Certificate) -> list[str]:
    wrong = []
    if certificate.key is None:
        wrong.append("its key is not on P-384")
    if certificate.unknown_critical:
        wrong.append(f"unknown critical {', '.join(certificate.unknown_critical)}")
    return wrong


def _authority(certificate: Certificate, below: int) -> list[str]:
    """What forbids this certificate to stand above `below` further authorities."""
    wrong = []
    if certificate.ca is not True:
        wrong.append("is not a certificate authority")
    elif not certificate.constraints_critical:
        wrong.append("its basic constraints are not critical")
    if not certificate.signs_certificates:
        wrong.append("may not sign certificates")
    if certificate.path_length is not None and below > certificate.path_length:
        wrong.append(f"{below} authorities follow, {certificate.path_length} may")
    return wrong


def _leaf(certificate: Certificate) -> list[str]:
    wrong = []
    if certificate.ca is not False or certificate.path_length is not None:
        wrong.append("the leaf must say that it is no authority")
    if not certificate.signs_data:
        wrong.append("may not sign data")
    return wrong


@lru_cache(maxsize=256)
def _link(child_der: bytes, issuer_der: bytes) -> tuple[str, ...]:
    """What is wrong between two neighbours; a pure function of their bytes, remembered for speed."""
    child, issuer = read(child_der), read(issuer_der)
    if child.issuer != issuer.name:
        return ("its issuer's name is not the next subject",)
    if child.parsed.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA384:
        return (f"is signed with {child.parsed.signature_algorithm_oid.dotted_string}",)
    if child.algorithm != _ALGORITHM:
        return ("names another algorithm inside than outside",)
    if issuer.key is None:
        return ("its issuer has no P-384 key",)
    try:
        issuer.key.verify(child.parsed.signature, child.signed, _ECDSA_SHA384)
    except InvalidSignature:
        return ("its signature does not verify",)
    return ()


def not_valid(path: Sequence[Certificate], at: datetime) -> list[str]:
    """The certificates of a path that are not valid at an instant, in words; ends are inclusive."""
    found = []
    for certificate in path:
        if at < certificate.begins:
            found.append(
                f"{certificate.subject}: not before {certificate.begins:%Y-%m-%d %H:%M:%S}Z"
            )
        if at > certificate.ends:
            found.append(f"{certificate.subject}: ended {certificate.ends:%Y-%m-%d %H:%M:%S}Z")
    return found


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    read.cache_clear()
    _link.cache_clear()
