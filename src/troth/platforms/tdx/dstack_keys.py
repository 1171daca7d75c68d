"""Whose key is it? What ties keys to an application of dstack: report data, and chains of signatures.

The key service has one root key on secp256k1. From it follows the application's key, from that one each
key the application asks for by path. Two signatures tell so to others: the application's key signs the
public key with its purpose, the root signs the application's key with the application's id. Signatures
are r ‖ s ‖ recovery id over Keccak-256, so the signers are *recovered* and must then be compared: with
the root that the caller knows, by whoever judges.

Checked: derivation on the project's fixed value, the environment key's signature with its own client, and
how REPORTDATA names the signing key on a real quote. No public chain of signatures was at hand.

Secrets pass through `derive` only in simulators and tests; a verifier has none.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from troth.crypto import ethereum
from troth.errors import Malformed

CERTIFICATE: Final = b"ratls-cert"
APP_DATA: Final = b"app-data"
ROOT_CERTIFICATE: Final = b"kms-root-ca"
ALGORITHMS: Final = ("secp256k1", "ed25519")
APP_ID: Final = 20
COMPRESSED: Final = 33
SIGNING_PATH: Final = "vms"
SIGNING_PURPOSE: Final = "signing"
_SALT: Final = b"RATLS"
_ISSUED: Final = b"dstack-kms-issued:"
_ENVIRONMENT: Final = b"dstack-env-encrypt-pubkey:"
_PREFIXES: Final = {"secp256k1": b"dip1::secp256k1c-pk:", "ed25519": b"dip1::ed25519-pk:"}
_SIZES: Final = {"secp256k1": COMPRESSED, "ed25519": 32}
_FIELD: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Who signed a key's chain: values to compare, which vouch for nothing by themselves.

    Attributes:
        application: the application's key, compressed; None where a signature was made by no key.
        root: the key service's root key, compressed; None likewise.
    """

    application: bytes | None
    root: bytes | None


def report_data(tag: bytes, content: bytes) -> bytes:
    """The 64 bytes for one purpose: SHA-512(tag ‖ ":" ‖ content).

    Does not verify: that the system made them. Whatever runs in the guest can ask for any 64 bytes.
    """
    return hashlib.sha512(tag + b":" + content).digest()


def signing_key_data(algorithm: str, public_key: bytes) -> bytes:
    """The 64 bytes in which the guest agent names the key it signs with (DIP-1).

    Args:
        algorithm: `secp256k1` or `ed25519`.
        public_key: 33 bytes compressed, or 32.

    Raises:
        Malformed: another algorithm, or a key of another size.
    """
    if len(public_key) != _SIZES.get(algorithm):
        raise Malformed(f"is no public key of {algorithm[:40]!r}", field="signing key")
    text = base64.urlsafe_b64encode(public_key).rstrip(b"=")
    return (_PREFIXES[algorithm] + text).ljust(_FIELD, b"\0")


def signing_key_in(data: bytes) -> tuple[str, bytes] | None:
    """The algorithm and key that 64 bytes name as `signing_key_data` does; None if they name none."""
    for algorithm, prefix in _PREFIXES.items():
        if data.startswith(prefix):
            text = data.removeprefix(prefix).rstrip(b"\0")
            try:
                key = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
            except (binascii.Error, ValueError):
                return None
            fits = len(key) == _SIZES[algorithm] and signing_key_data(algorithm, key) == data
            return (algorithm, key) if fits else None
    return None


def derive(key: bytes, *context: bytes, size: int = 32) -> bytes:
    """HKDF-SHA256 with the salt `RATLS`, over the parts of the context one behind the other.

    The parts have no lengths: ("ab", "c") and ("a", "bc") give one key. That is the protocol's.
    """
    kdf = HKDF(algorithm=SHA256(), length=size, salt=_SALT, info=b"".join(context))
    return kdf.derive(key)


def purpose_digest(purpose: str, public_key: bytes) -> bytes:
    """What the application's key signs: the purpose and a public key in hex (33 bytes, or 32).

    Raises:
        Malformed: the purpose is no text.
    """
    try:
        said = f"{purpose}:{public_key.hex()}".encode()
    except UnicodeEncodeError:
        raise Malformed("has half a surrogate pair", field="purpose") from None
    return ethereum.keccak256(said)


def issued_digest(app_id: bytes, application: bytes) -> bytes:
    """What the root signs: an application's id and its key, compressed.

    Raises:
        Malformed: the id is not 20 bytes, so where it ends is not what it seems.
    """
    if len(app_id) != APP_ID or len(application) != COMPRESSED:
        raise Malformed(f"is {len(app_id)} bytes, should be {APP_ID}", field="app id")
    return ethereum.keccak256(_ISSUED + app_id + application)


def signers(
    *, purpose: str, public_key: bytes, app_id: bytes, signatures: Sequence[bytes]
) -> Signers:
    """Who signed a key that `GetKey` gave.

    Args:
        purpose: as it was asked for.
        public_key: of that key: 33 bytes compressed, or 32 for Ed25519.
        app_id: 20 bytes, from evidence.
        signatures: the chain, two of 65 bytes each: by the application's key, and by the root.

    Raises:
        Malformed: not two signatures, the id is not 20 bytes, or the purpose is no text.
        Unavailable: the libraries of the extra `services` are not there.
    """
    if len(signatures) != 2:
        raise Malformed(f"has {len(signatures)} links, should have 2", field="signature chain")
    application = _recovered(purpose_digest(purpose, public_key), signatures[0])
    if application is None:
        return Signers(application=None, root=None)
    root = _recovered(issued_digest(app_id, application), signatures[1])
    return Signers(application=application, root=root)


def environment_signer(
    *, public_key: bytes, app_id: bytes, signature: bytes, timestamp: int
) -> bytes | None:
    """Who signed the key that an application's environment is encrypted to; compressed, or None.

    Args:
        public_key: X25519, 32 bytes.
        app_id: 20 bytes.
        signature: `signature_v1`, 65 bytes.
        timestamp: seconds since 1970, which is signed too. How old it may be is the caller's affair.

    Raises:
        Malformed: a key or id of another size, so where one ends is not what it seems.
    """
    if len(public_key) != 32 or len(app_id) != APP_ID or not 0 <= timestamp < 2**64:
        raise Malformed("has parts of another size", field="environment key")
    moment = timestamp.to_bytes(8, "big")
    digest = ethereum.keccak256(_ENVIRONMENT + app_id + moment + public_key)
    return _recovered(digest, signature)


def compressed(point: bytes) -> bytes:
    """The short form of a point 0x04 ‖ x ‖ y: the sign of y, and x."""
    return bytes([2 + (point[64] & 1)]) + point[1:33]


def _recovered(digest: bytes, signature: bytes) -> bytes | None:
    # A wallet's 27 and 28 are another encoding of the same signature, and not dstack's.
    if len(signature) != ethereum.SIGNATURE or signature[64] > 3:
        return None
    point = ethereum.recover(digest, signature)
    return None if point is None else compressed(point)
