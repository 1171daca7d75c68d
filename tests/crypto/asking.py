"""What tests of signatures share: a key as certificates hold it, and the words for one that was asked about."""

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from troth.crypto import keys, signature
from troth.crypto.beside import Asked


def spki(key: Any) -> bytes:
    """SubjectPublicKeyInfo of a private key."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def words(asked: Asked) -> str:
    """What is wrong with the signature, by whichever function its algorithm is for; empty if it verifies."""
    if asked.algorithm == keys.P256_RAW:
        return signature.ecdsa_p256_raw(asked.spki, asked.signature, asked.signed)
    if asked.algorithm == keys.P384_RAW:
        return signature.ecdsa_p384_raw(asked.spki, asked.signature, asked.signed)
    return signature.verify(*asked)
