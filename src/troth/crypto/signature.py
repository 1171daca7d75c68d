"""Signature checks on audited libraries; a failure is an answer here, and the caller makes it a check.

Where `troth_native` is installed, AWS-LC says first whether a signature verifies, perhaps long before it is
asked (see `beside`). What it refuses, `cryptography` (OpenSSL) is asked for as well, and puts into words.
"""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from troth.crypto import beside, keys
from troth.crypto.beside import Asked
from troth.errors import Misuse

_P256: Final = ec.ECDSA(hashes.SHA256())
_P384: Final = ec.ECDSA(hashes.SHA384())
_SALT: Final = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
_PKCS1: Final = padding.PKCS1v15()
_MODULUS: Final = 4096
_TWO_MINDS: Final = "OpenSSL says that the signature verifies, AWS-LC that it does not"


def verify(spki: bytes, algorithm: bytes, signature: bytes, signed: bytes) -> str:
    """Checks a certificate's or a CRL's signature.

    Args:
        spki: the issuer's SubjectPublicKeyInfo, DER.
        algorithm: AlgorithmIdentifier, DER; one of those that `keys` names.
        signature: content of the BIT STRING.
        signed: the bytes that are signed.

    Returns:
        An empty string if it verifies, else what is wrong, in words.
    """
    check = _CHECKS.get(algorithm)
    if check is None:
        return f"is signed with an algorithm that is not used here ({algorithm.hex()})"
    said = beside.verifies(Asked(spki, algorithm, signature, signed))
    if said:
        return ""
    try:
        wrong = check(keys.load(spki), signature, signed)
    except InvalidSignature:
        wrong = "its signature does not verify"
    return wrong or ("" if said is None else _TWO_MINDS)


def ecdsa_p256_raw(spki: bytes, signature: bytes, signed: bytes) -> str:
    """Checks a raw r ‖ s signature (2 × 32 bytes, big-endian) with SHA-256 on P-256.

    Returns:
        An empty string if it verifies, else what is wrong, in words.

    Does not verify: that s is the smaller of its two forms; never name evidence by its signature.
    """
    return _raw(spki, keys.P256_RAW, signature, signed)


def ecdsa_p384_raw(spki: bytes, signature: bytes, signed: bytes) -> str:
    """Checks a raw r ‖ s signature (2 × 48 bytes, big-endian) with SHA-384 on P-384.

    Returns and does not verify: as `ecdsa_p256_raw`.
    """
    return _raw(spki, keys.P384_RAW, signature, signed)


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


def _raw(spki: bytes, algorithm: bytes, signature: bytes, signed: bytes) -> str:
    name, curve, size, how = _RAW[algorithm]
    if len(signature) != 2 * size:
        return f"the signature is {len(signature)} bytes, should be {2 * size}"
    said = beside.verifies(Asked(spki, algorithm, signature, signed))
    if said:
        return ""
    key = keys.load(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, curve):
        return f"the key is not on {name}"
    r = int.from_bytes(signature[:size], "big")
    s = int.from_bytes(signature[size:], "big")
    try:
        key.verify(utils.encode_dss_signature(r, s), signed, how)
    except InvalidSignature:
        return "the signature does not verify"
    return "" if said is None else _TWO_MINDS


def _ecdsa256(key: keys.Key | None, signature: bytes, signed: bytes) -> str:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return "its issuer has no P-256 key"
    key.verify(signature, signed, _P256)
    return ""


def _ecdsa384(key: keys.Key | None, signature: bytes, signed: bytes) -> str:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        return "its issuer has no P-384 key"
    key.verify(signature, signed, _P384)
    return ""


def _pss(key: keys.Key | None, signature: bytes, signed: bytes) -> str:
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != _MODULUS:
        return "its issuer has no RSA-4096 key"
    if len(signature) != _MODULUS // 8:
        # RFC 8017, 8.1.2, step 1: OpenSSL takes one without its leading zeros, too.
        return "its signature does not verify"
    key.verify(signature, signed, _SALT, hashes.SHA384())
    return ""


def _pkcs1(digest: hashes.HashAlgorithm) -> Callable[[keys.Key | None, bytes, bytes], str]:
    def check(key: keys.Key | None, signature: bytes, signed: bytes) -> str:
        if not isinstance(key, rsa.RSAPublicKey):
            return "its issuer has no RSA key of 2048 to 4096 bits"
        key.verify(signature, signed, _PKCS1, digest)
        return ""

    return check


_RAW: Final = {
    keys.P256_RAW: ("P-256", ec.SECP256R1, 32, _P256),
    keys.P384_RAW: ("P-384", ec.SECP384R1, 48, _P384),
}
_CHECKS: Final[dict[bytes, Callable[[keys.Key | None, bytes, bytes], str]]] = {
    keys.ECDSA_SHA256: _ecdsa256,
    keys.ECDSA_SHA384: _ecdsa384,
    keys.PSS_SHA384: _pss,
    keys.PSS_SHA384_SHORT: _pss,
    keys.RSA_SHA256: _pkcs1(hashes.SHA256()),
    keys.RSA_SHA384: _pkcs1(hashes.SHA384()),
    keys.RSA_SHA512: _pkcs1(hashes.SHA512()),
}
