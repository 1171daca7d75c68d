"""Would a Nitro host start this signed image? What it checks of the signature section, in words.

The certificate's curve decides the algorithm: P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512.
The signature covers PCR0 alone, so metadata can be changed without it.

Does not verify: who the signer is. The certificate need not be issued by anybody, and nobody revokes it:
PCR8 names it, and the policy of whoever verifies says whether that counts. Debug mode shows no signer.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from troth.errors import Malformed, Misuse
from troth.model.check import stamp
from troth.wire import cbor, cose, eif_signature
from troth.wire.eif_signature import Signature

NEW_CERTIFICATE: Final = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -sha384 -days 365 "
    "-subj /CN=NAME -keyout key.pem -out certificate.pem"
)
"""A command that makes a key and a certificate that can sign."""

_SIGN_AGAIN: Final = "sign this image: `troth release sign`, then `troth release attach`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """How keys on one curve sign.

    Attributes:
        name: of COSE.
        number: of COSE.
        curve: for people.
        digest: what is hashed with.
        size: bytes of r, and of s.
    """

    name: str
    number: int
    curve: str
    digest: hashes.HashAlgorithm
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why a host refuses the image.

    Attributes:
        words: what is wrong.
        fix: the next move.
    """

    words: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A signing certificate that can be used.

    Attributes:
        key: its public key.
        algorithm: that its curve decides.
        subject: its name (RFC 4514).
        not_before, not_after: its validity.
    """

    key: ec.EllipticCurvePublicKey
    algorithm: Algorithm
    subject: str
    not_before: datetime
    not_after: datetime

    def to_be_signed(self, pcr0: bytes) -> bytes:
        """The bytes that the key signs for an image: the Sig_structure of RFC 9052, 4.4."""
        return self._made(pcr0, b"").to_be_signed()

    def sign1(self, pcr0: bytes, raw: bytes) -> bytes:
        """The COSE_Sign1 of an image, untagged.

        Args:
            pcr0: 48 bytes.
            raw: r ‖ s.
        """
        one = self._made(pcr0, raw)
        return cbor.encode_in_order([one.protected, {}, one.payload, one.signature])

    def not_valid(self, at: datetime) -> Problem | None:
        """What is wrong with using the certificate at an instant."""
        if at < self.not_before:
            return Problem(
                words=f"the signing certificate is not valid before {stamp(self.not_before)}",
                fix="wait until then, or set this machine's clock right",
            )
        if at > self.not_after:
            return Problem(
                words=f"the signing certificate has expired: it ended at {stamp(self.not_after)}",
                fix="make a new certificate and sign again; policies must then expect its PCR8",
            )
        return None

    def _made(self, pcr0: bytes, raw: bytes) -> cose.Sign1:
        return cose.Sign1(
            protected=cbor.encode_in_order({1: self.algorithm.number}),
            alg=self.algorithm.number,
            payload=eif_signature.payload(pcr0),
            payload_offset=0,
            signature=raw,
        )


ES256: Final = Algorithm(name="ES256", number=-7, curve="P-256", digest=hashes.SHA256(), size=32)
ES384: Final = Algorithm(name="ES384", number=-35, curve="P-384", digest=hashes.SHA384(), size=48)
ES512: Final = Algorithm(name="ES512", number=-36, curve="P-521", digest=hashes.SHA512(), size=66)
_BY_CURVE: Final = {"secp256r1": ES256, "secp384r1": ES384, "secp521r1": ES512}


def signer(certificate: bytes) -> Signer:
    """What a signing certificate says.

    Args:
        certificate: DER.

    Raises:
        Malformed: it is no certificate.
        Misuse: its key is on none of the three curves.
    """
    try:
        read = x509.load_der_x509_certificate(certificate)
        key, subject = read.public_key(), read.subject.rfc4514_string()
        first, last = read.not_valid_before_utc, read.not_valid_after_utc
    except UnsupportedAlgorithm:
        raise _wrong_key("a key of a kind that is not known here") from None
    except Exception:  # noqa: BLE001 - more kinds than documented, on hostile DER
        raise Malformed(
            "is no X.509 certificate that can be read",
            field="signing certificate",
            fix=f"make one: `{NEW_CERTIFICATE}`",
        ) from None
    if isinstance(key, rsa.RSAPublicKey):
        raise _wrong_key("an RSA key")
    algorithm = (
        _BY_CURVE.get(key.curve.name) if isinstance(key, ec.EllipticCurvePublicKey) else None
    )
    if algorithm is None or not isinstance(key, ec.EllipticCurvePublicKey):
        raise _wrong_key("a key on another curve")
    return Signer(key=key, algorithm=algorithm, subject=subject, not_before=first, not_after=last)


def problems(signature: Signature, *, pcr0: bytes, at: datetime) -> tuple[Problem, ...]:
    """Everything for which a host refuses the image; nothing if it starts.

    Args:
        signature: the image's.
        pcr0: what the image measures to.
        at: the instant at which it starts, aware.
    """
    found = []
    if signature.value != pcr0:
        found.append(
            Problem(
                words=f"the signature is over another image: its PCR0 is {signature.value.hex()}, "
                f"this image's is {pcr0.hex()}",
                fix=_SIGN_AGAIN,
            )
        )
    try:
        by = signer(signature.certificate)
    except (Malformed, Misuse) as error:
        return (*found, Problem(words=str(error), fix=error.fix))
    wrong = unverified(by, signature.sign1)
    if wrong:
        found.append(Problem(words=wrong, fix=_SIGN_AGAIN))
    late = by.not_valid(at)
    return (*found, late) if late else tuple(found)


def unverified(by: Signer, sign1: cose.Sign1) -> str:
    """Why a signature, as it was read, is not this certificate's, in words; empty if it is."""
    wanted = by.algorithm
    if sign1.alg != wanted.number:
        return f"the signature's algorithm is {sign1.alg}, a key on {wanted.curve} makes {wanted.number}"
    raw = sign1.signature
    r, s = int.from_bytes(raw[: wanted.size]), int.from_bytes(raw[wanted.size :])
    try:
        by.key.verify(
            utils.encode_dss_signature(r, s), sign1.to_be_signed(), ec.ECDSA(wanted.digest)
        )
    except InvalidSignature:
        return "the signature was not made with the key of the certificate that stands beside it"
    return ""


def _wrong_key(what: str) -> Misuse:
    return Misuse(
        f"the signing certificate has {what}; Nitro takes P-256, P-384 and P-521 alone",
        fix=f"make a key on P-384 with its certificate: `{NEW_CERTIFICATE}`",
    )
