"""Is a certificate revoked? One OCSP answer for one certificate (RFC 6960), from bytes.

Certificates of NVIDIA's devices end in 9999, so that nothing but these answers ever ends their lives.
An answer counts if the authority that issued the certificate signed it, or a responder that this
authority certified for the purpose. Whether it echoes a nonce is asked where it is fetched: of a stored
answer only its window is left.

Does not verify: the authority itself, and that the responder's own certificate is not revoked.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from cryptography import x509 as library
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from troth.crypto import issued, keys, signature
from troth.errors import Malformed
from troth.wire.der import SEQUENCE, span
from troth.wire.x509 import Certificate

FIELD: Final = "OCSP answer"
MAX_BYTES: Final = 64 * 1024
UNBOUNDED: Final = timedelta(days=1)
"""How long an answer counts that names no end."""

_ALGORITHMS: Final = {
    library.SignatureAlgorithmOID.ECDSA_WITH_SHA384: keys.ECDSA_SHA384,
    library.SignatureAlgorithmOID.ECDSA_WITH_SHA256: keys.ECDSA_SHA256,
}
_HASHES: Final = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha384": hashlib.sha384}
_EXTENDED_USAGE: Final = bytes.fromhex("551d25")
_OCSP_SIGNING: Final = bytes.fromhex("06082b06010505070309")
_NONCE: Final = library.ObjectIdentifier("1.3.6.1.5.5.7.48.1.2")
_BIT_STRING: Final = 0x03
# What the library raises for bytes that are not what they should be, some of it only when it is asked.
LIBRARY_ERRORS: Final = (
    *(ValueError, TypeError, NotImplementedError),
    *(UnsupportedAlgorithm, library.DuplicateExtension),
)


class Status(StrEnum):
    """What an answer says. A hold can be lifted, the other two are for ever."""

    GOOD = "good"
    HOLD = "certificateHold"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, parsed and not believed.

    Attributes:
        status: what it says.
        reason: why it is revoked, in RFC 5280's word, or empty.
        revoked_at: since when, or None.
        this_update, next_update: its window; None where it names no end.
        serial: of the certificate that it is about.
        hash_name, issuer_name, issuer_key: of the authority: algorithm, and digests of name and key.
        nonce: content of the nonce extension, or None.
        signed, algorithm, signature: the part that is signed, and how; `algorithm` is empty where
            troth does not use it.
        certificates: what the responder sent along, DER.
    """

    status: Status
    reason: str
    revoked_at: datetime | None
    this_update: datetime
    next_update: datetime | None
    serial: int
    hash_name: str
    issuer_name: bytes
    issuer_key: bytes
    nonce: bytes | None
    signed: bytes
    algorithm: bytes
    signature: bytes
    certificates: tuple[bytes, ...]

    @property
    def ends(self) -> datetime:
        """The last instant at which it counts."""
        return self.next_update or self.this_update + UNBOUNDED

    def current(self, at: datetime) -> bool:
        """Whether the instant lies in its window."""
        return self.this_update <= at <= self.ends

    def is_about(self, certificate: Certificate, issuer: Certificate) -> bool:
        """Whether it names this certificate of this authority.

        Raises:
            Malformed: the authority's key is none in DER.
        """
        digest = _HASHES[self.hash_name]
        return (
            self.serial == certificate.serial
            and self.issuer_name == digest(issuer.subject).digest()
            and self.issuer_key == digest(_bits(issuer.key)).digest()
        )


@lru_cache(maxsize=256)
def read(der: bytes) -> Answer:
    """Reads an answer; a pure function of its bytes, remembered for speed.

    Raises:
        Malformed: it is none, the responder refused, or it is about several certificates.
    """
    if len(der) > MAX_BYTES:
        raise Malformed(f"is larger than {MAX_BYTES} bytes", field=FIELD)
    try:
        found = ocsp.load_der_ocsp_response(der)
        if found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise Malformed(f"is a refusal: {found.response_status.name.lower()}", field=FIELD)
        (one,) = found.responses
        hash_name = one.hash_algorithm.name
        if hash_name not in _HASHES:
            raise Malformed(f"names its certificate by {hash_name}", field=FIELD)
        status, reason = _status(one)
        return Answer(
            status=status,
            reason=reason,
            revoked_at=one.revocation_time_utc,
            this_update=one.this_update_utc.astimezone(UTC),
            next_update=one.next_update_utc,
            serial=one.serial_number,
            hash_name=hash_name,
            issuer_name=one.issuer_name_hash,
            issuer_key=one.issuer_key_hash,
            nonce=_nonce(found.extensions),
            signed=found.tbs_response_bytes,
            algorithm=_ALGORITHMS.get(found.signature_algorithm_oid, b""),
            signature=found.signature,
            certificates=tuple(
                c.public_bytes(serialization.Encoding.DER) for c in found.certificates
            ),
        )
    except LIBRARY_ERRORS as error:
        raise Malformed(f"cannot be read: {str(error)[:120]}", field=FIELD) from None


def trouble(der: bytes, issuer: bytes, at: datetime) -> str:
    """What forbids to take this answer as an authority's at an instant; empty if nothing does.

    Args:
        der: the answer.
        issuer: DER of the authority's certificate.
        at: when a responder's own certificate must be valid.

    Raises:
        Malformed: as `read`.
    """
    answer = read(der)
    wrong = []
    for signer in _signers(der, issuer):
        if isinstance(signer, str):
            wrong.append(signer)
            continue
        problem = signature.verify(
            signer.key, answer.algorithm, answer.signature, answer.signed
        ) or "; ".join(issued.not_valid([signer], at) if signer.der != issuer else ())
        if not problem:
            return ""
        wrong.append(problem)
    return "; ".join(dict.fromkeys(wrong))


def request(certificate: Certificate, issuer: Certificate, *, nonce: bytes = b"") -> bytes:
    """The DER of a request about one certificate; with a nonce where one is given.

    Raises:
        Malformed: nobody can be asked about such a certificate: its number is negative, or its
            issuer's key is none in DER.
    """
    if certificate.serial < 0:
        raise Malformed("is negative, and no responder can be asked about it", field="serialNumber")
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        hashlib.sha384(issuer.subject).digest(),
        hashlib.sha384(_bits(issuer.key)).digest(),
        certificate.serial,
        hashes.SHA384(),
    )
    if nonce:
        builder = builder.add_extension(library.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def with_nonce(asked: bytes, nonce: bytes) -> bytes:
    """The same request with a nonce in it."""
    found = _request(asked)
    builder = (
        ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(
            found.issuer_name_hash, found.issuer_key_hash, found.serial_number, found.hash_algorithm
        )
        .add_extension(library.OCSPNonce(nonce), critical=False)
    )
    return builder.build().public_bytes(serialization.Encoding.DER)


def another(der: bytes, asked: bytes) -> str:
    """Why this is no answer to a request, in words; empty if it is one.

    Raises:
        Malformed: as `read`, or the request is none.
    """
    answer, found = read(der), _request(asked)
    # Hashes of the authority may be of another kind than was asked with; the verdict computes them.
    return "" if answer.serial == found.serial_number else "is about another certificate"


def echoes(der: bytes, nonce: bytes) -> bool:
    """Whether an answer carries this nonce. One that does not may be an old one.

    Raises:
        Malformed: as `read`.
    """
    return read(der).nonce == nonce


def _request(asked: bytes) -> ocsp.OCSPRequest:
    try:
        return ocsp.load_der_ocsp_request(asked)
    except LIBRARY_ERRORS:
        raise Malformed("is none", field="OCSP request") from None


def _signers(der: bytes, issuer_der: bytes) -> tuple[Certificate | str, ...]:
    """Who may have signed: the authority, and those that it certified for this; or why not."""
    issuer = issued.read(issuer_der)
    found: list[Certificate | str] = [issuer]
    for other in read(der).certificates:
        try:
            certificate = issued.read(other)
            if other == issuer_der:
                continue
            wrong = [*issued.link(other, issuer_der), *_not_a_responder(certificate)]
        except Malformed as error:
            found.append(f"the responder's certificate cannot be read: {error}")
            continue
        if wrong:
            found.append(f"{issued.title(certificate)}: {'; '.join(wrong)}")
        else:
            found.append(certificate)
    return tuple(found)


def _not_a_responder(certificate: Certificate) -> Iterable[str]:
    usage = certificate.extensions.get(_EXTENDED_USAGE)
    if usage is None or _OCSP_SIGNING not in _members(usage):
        yield "may not sign OCSP answers"
    if not issued.authority(certificate, 0):
        yield "is an authority, not a responder"


def _members(value: bytes) -> list[bytes]:
    at, end = span(value, 0, len(value), "extendedKeyUsage", SEQUENCE)
    found = []
    while at < end:
        start = at
        _, at = span(value, at, end, "extendedKeyUsage")
        found.append(value[start:at])
    return found


def _status(one: ocsp.OCSPSingleResponse) -> tuple[Status, str]:
    match one.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return Status.GOOD, ""
        case ocsp.OCSPCertStatus.UNKNOWN:
            return Status.UNKNOWN, ""
    if one.revocation_reason is library.ReasonFlags.certificate_hold:
        return Status.HOLD, Status.HOLD
    reason = one.revocation_reason
    return Status.REVOKED, "" if reason is None else str(reason.value)


def _nonce(extensions: library.Extensions) -> bytes | None:
    for extension in extensions:
        if extension.oid == _NONCE and isinstance(extension.value, library.OCSPNonce):
            return extension.value.nonce
        if extension.critical:
            raise Malformed(
                f"has the critical extension {extension.oid.dotted_string}", field=FIELD
            )
    return None


def _bits(spki: bytes) -> bytes:
    """The public key in a SubjectPublicKeyInfo: the content of its BIT STRING."""
    at, end = span(spki, 0, len(spki), "subjectPublicKeyInfo", SEQUENCE)
    _, at = span(spki, at, end, "algorithm", SEQUENCE)
    start, last = span(spki, at, end, "subjectPublicKey", _BIT_STRING)
    return spki[start + 1 : last]
