"""The three signature algorithms of tokens that count (RFC 7518, 3), each with its own kind of key.

The algorithm is the caller's and never the token's: `none` and the symmetric ones do not exist here.
"""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from troth.crypto.signature import ecdsa_p384_raw

RS256: Final = "RS256"
PS384: Final = "PS384"
ES384: Final = "ES384"
MIN_MODULUS: Final = 2048
MAX_MODULUS: Final = 8192

_SALT: Final = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
_PKCS1: Final = padding.PKCS1v15()
_EXPONENT: Final = 65537
_Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def refused(alg: str, spki: bytes) -> str:
    """Why this key must not sign with this algorithm, in words; empty if it may.

    Args:
        alg: one of this module's.
        spki: SubjectPublicKeyInfo, DER.
    """
    return _load(alg, spki)[1]


def verify(alg: str, spki: bytes, signature: bytes, signed: bytes) -> str:
    """Checks a token's signature.

    Returns:
        An empty string if it verifies under a key that may be used, else what is wrong, in words.
    """
    key, trouble = _load(alg, spki)
    if trouble:
        return f"the key {trouble}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ecdsa_p384_raw(spki, signature, signed)
    if not isinstance(key, rsa.RSAPublicKey):
        return "there is no key"
    if len(signature) != (key.key_size + 7) // 8:
        return f"the signature is {len(signature)} bytes, should be {(key.key_size + 7) // 8}"
    try:
        if alg == PS384:
            key.verify(signature, signed, _SALT, hashes.SHA384())
        else:
            key.verify(signature, signed, _PKCS1, hashes.SHA256())
    except InvalidSignature:
        return "the signature does not verify"
    return ""


@lru_cache(maxsize=512)
def _load(alg: str, spki: bytes) -> tuple[_Key | None, str]:
    """The key and what speaks against it; a pure function of its bytes, remembered for speed."""
    if alg not in (RS256, PS384, ES384):
        return None, f"is for {alg[:20]!r}, which is not used here"
    try:
        key = load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None, "cannot be read"
    if alg == ES384:
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
            return key, ""
        return None, "is not on P-384"
    if not isinstance(key, rsa.RSAPublicKey):
        return None, "is no RSA key"
    if not MIN_MODULUS <= key.key_size <= MAX_MODULUS:
        return None, f"has {key.key_size} bits, should have {MIN_MODULUS} to {MAX_MODULUS}"
    if key.public_numbers().e != _EXPONENT:
        return None, f"has the exponent {key.public_numbers().e}, should have {_EXPONENT}"
    return key, ""
