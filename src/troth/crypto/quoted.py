"""Did this key make a TPM's signature, and what is the digest that a TPM would make?

Does not verify: whose key it is, or whether it may sign what no TPM generated.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from troth.crypto import keys
from troth.wire import tpm

_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    tpm.SHA256: hashes.SHA256(),
    tpm.SHA384: hashes.SHA384(),
    tpm.SHA512: hashes.SHA512(),
}


def digest(algorithm: int, data: bytes) -> bytes:
    """The hash with this TPM number, of `wire.tpm.BANKS`, over the data."""
    return hashlib.new(tpm.BANKS[algorithm], data, usedforsecurity=False).digest()


def unsigned(spki: bytes, signature: tpm.Signature, signed: bytes) -> str:
    """Why the key did not sign this, in words; empty if it did.

    Args:
        spki: SubjectPublicKeyInfo, DER.
        signature: the scheme, its hash and the numbers; SHA-1 is refused.
        signed: the bytes that are signed.
    """
    chosen = _HASHES.get(signature.hash)
    if chosen is None:
        return f"it is made with {tpm.BANKS[signature.hash]}"
    key = keys.load(spki)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            return _rsa(key, signature, signed, chosen)
        if isinstance(key, ec.EllipticCurvePublicKey):
            return _ecdsa(key, signature, signed, chosen)
    except InvalidSignature:
        return "the signature does not verify"
    return "the key is none of RSA with 2048 to 4096 bits and the usual exponent, P-256 and P-384"


def _rsa(
    key: rsa.RSAPublicKey, signature: tpm.Signature, signed: bytes, chosen: hashes.HashAlgorithm
) -> str:
    if signature.scheme == tpm.ECDSA:
        return "the key is RSA, the scheme is not"
    size = (key.key_size + 7) // 8  # OpenSSL would take a shorter one (RFC 8017, 8.1.2, refuses it)
    if len(signature.values[0]) != size:
        return f"the signature is {len(signature.values[0])} bytes, should be {size}"
    # How long a TPM's salt is depends on its version and mode, and is told by the signature.
    pss = padding.PSS(padding.MGF1(chosen), padding.PSS.AUTO)
    how = pss if signature.scheme == tpm.RSAPSS else padding.PKCS1v15()
    key.verify(signature.values[0], signed, how, chosen)
    return ""


def _ecdsa(
    key: ec.EllipticCurvePublicKey,
    signature: tpm.Signature,
    signed: bytes,
    chosen: hashes.HashAlgorithm,
) -> str:
    if signature.scheme != tpm.ECDSA:
        return "the key is on a curve, the scheme is not"
    r, s = (int.from_bytes(value, "big") for value in signature.values)
    key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(chosen))
    return ""
