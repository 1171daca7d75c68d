"""Public keys out of their DER, and the signature algorithms that vendors' certificates use."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

ECDSA_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
ECDSA_SHA384: Final = bytes.fromhex("300a06082a8648ce3d040303")
# RSASSA-PSS with SHA-384, MGF1 with SHA-384 and 48 bytes of salt, as AMD writes it: NULL parameters,
# and the trailer field with its default written out; since 2024 without it, which alone is DER.
PSS_SHA384: Final = bytes.fromhex(
    "304606092a864886f70d01010a3039a00f300d06096086480165030402020500"
    "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101"
)
PSS_SHA384_SHORT: Final = bytes.fromhex(
    "304106092a864886f70d01010a3034a00f300d06096086480165030402020500"
    "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
)
# RSASSA-PKCS1-v1_5 (RFC 4055, 5), as the authorities of virtual TPMs and of tokens sign.
RSA_SHA256: Final = bytes.fromhex("300d06092a864886f70d01010b0500")
RSA_SHA384: Final = bytes.fromhex("300d06092a864886f70d01010c0500")
RSA_SHA512: Final = bytes.fromhex("300d06092a864886f70d01010d0500")

_P256: Final = ec.ECDSA(hashes.SHA256())
_P384: Final = ec.ECDSA(hashes.SHA384())
_SALT: Final = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
_PKCS1: Final = padding.PKCS1v15()
_MODULUS: Final = 4096
_MODULI: Final = (2048, 3072, _MODULUS)
_EXPONENT: Final = 65537
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)

EllipticCurveKey = ec.EllipticCurvePublicKey
Key = EllipticCurveKey | rsa.RSAPublicKey


@lru_cache(maxsize=512)
def load(spki: bytes) -> Key | None:
    """The key in a SubjectPublicKeyInfo on P-256 or P-384 or RSA of 2048 to 4096 bits, or None.

    RSA's exponent is the one that all vendors use: with a long one a signature takes hundreds of times as
    long to check, and certificates may be a stranger's.

    A pure function of its bytes, remembered for speed.
    """
    try:
        key = load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key if isinstance(key.curve, _CURVES) else None
    if isinstance(key, rsa.RSAPublicKey):
        usual = key.key_size in _MODULI and key.public_numbers().e == _EXPONENT
        return key if usual else None
    return None


@lru_cache(maxsize=512)
def p256_point(point: bytes) -> ec.EllipticCurvePublicKey | None:
    """The P-256 key whose coordinates are x ‖ y (64 bytes, big-endian), or None if it is no point.

    A pure function of its bytes, remembered for speed.
    """
    if len(point) != 64:
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError:
        return None


def verify(key: Key | None, algorithm: bytes, signature: bytes, signed: bytes) -> str:
    """Checks a certificate's or a CRL's signature.

    Args:
        key: the issuer's.
        algorithm: AlgorithmIdentifier, DER; one of this module's.
        signature: content of the BIT STRING.
        signed: the bytes that are signed.

    Returns:
        An empty string if it verifies, else what is wrong, in words.
    """
    check = _CHECKS.get(algorithm)
    if check is None:
        return f"is signed with an algorithm that is not used here ({algorithm.hex()})"
    try:
        return check(key, signature, signed)
    except InvalidSignature:
        return "its signature does not verify"


def ecdsa_p256_raw(key: ec.EllipticCurvePublicKey | None, signature: bytes, signed: bytes) -> str:
    """Checks a raw r ‖ s signature (2 × 32 bytes, big-endian) with SHA-256 on P-256.

    Returns:
        An empty string if it verifies, else what is wrong, in words.

    Does not verify: that s is the smaller of its two forms; never name evidence by its signature.
    """
    if key is None or not isinstance(key.curve, ec.SECP256R1):
        return "the key is not on P-256"
    if len(signature) != 64:
        return f"the signature is {len(signature)} bytes, should be 64"
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    try:
        key.verify(utils.encode_dss_signature(r, s), signed, _P256)
    except InvalidSignature:
        return "the signature does not verify"
    return ""


def _ecdsa256(key: Key | None, signature: bytes, signed: bytes) -> str:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return "its issuer has no P-256 key"
    key.verify(signature, signed, _P256)
    return ""


def _ecdsa384(key: Key | None, signature: bytes, signed: bytes) -> str:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        return "its issuer has no P-384 key"
    key.verify(signature, signed, _P384)
    return ""


def _pss(key: Key | None, signature: bytes, signed: bytes) -> str:
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != _MODULUS:
        return "its issuer has no RSA-4096 key"
    key.verify(signature, signed, _SALT, hashes.SHA384())
    return ""


def _pkcs1(digest: hashes.HashAlgorithm) -> Callable[[Key | None, bytes, bytes], str]:
    def check(key: Key | None, signature: bytes, signed: bytes) -> str:
        if not isinstance(key, rsa.RSAPublicKey):
            return "its issuer has no RSA key of 2048 to 4096 bits"
        key.verify(signature, signed, _PKCS1, digest)
        return ""

    return check


_CHECKS: Final[dict[bytes, Callable[[Key | None, bytes, bytes], str]]] = {
    ECDSA_SHA256: _ecdsa256,
    ECDSA_SHA384: _ecdsa384,
    PSS_SHA384: _pss,
    PSS_SHA384_SHORT: _pss,
    RSA_SHA256: _pkcs1(hashes.SHA256()),
    RSA_SHA384: _pkcs1(hashes.SHA384()),
    RSA_SHA512: _pkcs1(hashes.SHA512()),
}
