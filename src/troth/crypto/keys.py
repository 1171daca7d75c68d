"""Public keys out of their DER, and names of the signature algorithms that vendors use."""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
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

# Evidence is signed in r ‖ s, of one curve and its digest; these two are names of ours.
P256_RAW: Final = b"r, s on P-256 with SHA-256"
P384_RAW: Final = b"r, s on P-384 with SHA-384"

# How a SubjectPublicKeyInfo begins that holds an uncompressed point, or a modulus of 4,096 bits.
P256_HEAD: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
P384_HEAD: Final = bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004")
RSA4096_HEAD: Final = bytes.fromhex(
    "30820222300d06092a864886f70d01010105000382020f003082020a0282020100"
)
RSA4096_TAIL: Final = bytes.fromhex("0203010001")

_MODULI: Final = (2048, 3072, 4096)
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


def p256(point: bytes) -> bytes:
    """The SubjectPublicKeyInfo of the point x ‖ y (64 bytes, big-endian); one of another length is no key."""
    return P256_HEAD + point
