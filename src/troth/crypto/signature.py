"""Signature checks on `cryptography`; a failure is an answer here, and the caller makes it a check."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from troth.errors import Misuse

_ECDSA_SHA384: Final = ec.ECDSA(hashes.SHA384())


def ecdsa_p384_raw(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> str:
    """Checks a raw r ‖ s signature (2 × 48 bytes) with SHA-384 on P-384.

    Returns:
        An empty string if it verifies, else what is wrong, in words.
    """
    if not isinstance(key.curve, ec.SECP384R1):
        return f"the key is on {key.curve.name}, should be on P-384"
    if len(signature) != 96:
        return f"the signature is {len(signature)} bytes, should be 96"
    r = int.from_bytes(signature[:48], "big")
    s = int.from_bytes(signature[48:], "big")
    try:
        key.verify(utils.encode_dss_signature(r, s), signed, _ECDSA_SHA384)
    except InvalidSignature:
        return "the signature does not verify"
    return ""


def ed25519_raw(key: bytes, signature: bytes, signed: bytes) -> str:
    """Checks an Ed25519 signature (RFC 8032) with a raw 32-byte public key.

    Returns:
        An empty string if it verifies, else what is wrong, in words.

    Raises:
        Misuse: the key is not 32 bytes.
    """
    if len(key) != 32:
        raise Misuse(f"an Ed25519 key is 32 bytes, not {len(key)}")
    if len(signature) != 64:
        return f"the signature is {len(signature)} bytes, should be 64"
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except InvalidSignature:
        return "the signature does not verify"
    return ""
