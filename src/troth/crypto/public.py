"""Public keys that people hand around in PEM: Ed25519, and ECDSA on P-256 and P-384 with the digest of the curve."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from troth.errors import Malformed, Misuse

_CURVES: Final[dict[str, tuple[str, hashes.HashAlgorithm, int]]] = {
    "secp256r1": ("ECDSA on P-256", hashes.SHA256(), 32),
    "secp384r1": ("ECDSA on P-384", hashes.SHA384(), 48),
}
_FIX: Final = "make one of Ed25519 or on P-256 or P-384: `openssl genpkey -algorithm ed25519`"
_Key = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that checks signatures.

    Attributes:
        spki: SubjectPublicKeyInfo, DER, in the one form that the library writes.
        algorithm: for people.
        digest: what is hashed with before it is signed; None for Ed25519, which takes the bytes.
        size: bytes of r, and of s; half a signature of Ed25519.
    """

    spki: bytes
    algorithm: str
    digest: hashes.HashAlgorithm | None
    size: int
    key: _Key = field(repr=False, compare=False)

    @property
    def id(self) -> str:
        """SHA-256 of the key in hex, by which people and envelopes name it."""
        return hashlib.sha256(self.spki).hexdigest()

    def settled(self, made: bytes) -> bytes:
        """A signature in the one form that is kept: DER of ECDSA, also where r ‖ s was given."""
        if self.digest is not None and len(made) == 2 * self.size:
            r, s = made[: self.size], made[self.size :]
            return utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        return made

    def verify(self, signature: bytes, signed: bytes) -> str:
        """Checks a signature: of ECDSA in DER, of Ed25519 its 64 bytes.

        Returns:
            An empty string if it verifies, else what is wrong, in words.
        """
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, signed)
                return ""
            r, s = utils.decode_dss_signature(signature)
            if self.digest is None or utils.encode_dss_signature(r, s) != signature:
                return "the signature is not in its one form"
            self.key.verify(signature, signed, ec.ECDSA(self.digest))
        except InvalidSignature:
            return "the signature does not verify"
        except (ValueError, OverflowError):
            return "the signature cannot be read"
        return ""


def of(key: object) -> PublicKey:
    """A key of the library's.

    Raises:
        Misuse: it is of another kind.
    """
    algorithm: str
    digest: hashes.HashAlgorithm | None
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        algorithm, digest, size = _CURVES[key.curve.name]
    elif isinstance(key, ed25519.Ed25519PublicKey):
        algorithm, digest, size = "Ed25519", None, 32
    else:
        raise Misuse("the key is of a kind that is not used here", fix=_FIX)
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(spki=spki, algorithm=algorithm, digest=digest, size=size, key=key)


def from_pem(pem: bytes, *, name: str = "public key") -> PublicKey:
    """The public key in a PEM file.

    Raises:
        Malformed: it is none, or several.
        Misuse: it is of another kind, or a private one.
    """
    if b"PRIVATE KEY" in pem:
        raise Misuse(
            f"{name} is a private key, and the public one is enough",
            fix="`openssl pkey -in FILE -pubout` writes it",
        )
    if pem.count(b"-----BEGIN ") > 1:  # of which only the first would be read, and have to sign
        raise Malformed(
            "holds more than one key", field=name, fix="put each into a file of its own"
        )
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed(
            "is no public key in PEM", field=name, fix="`openssl pkey -in FILE -pubout` writes it"
        ) from None
    return of(key)
