"""Signatures as Ethereum has them: Keccak-256, recovery of secp256k1 keys, addresses, EIP-191.

Needs the extra `services`: libsecp256k1 by `coincurve`, Keccak by `pycryptodome`; loaded when asked for,
because neither OpenSSL nor `cryptography` has them.

Does not verify that a recovered key is one that anybody vouches for: any signature recovers to some key.
"""

from importlib import import_module
from typing import Any, Final

from troth.errors import Unavailable

ADDRESS: Final = 20
SIGNATURE: Final = 65  # r ‖ s ‖ recovery id
_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_PREFIX: Final = b"\x19Ethereum Signed Message:\n"


def keccak256(data: bytes) -> bytes:
    """Keccak-256 with the padding from before it became SHA-3."""
    digest: bytes = _needed("Crypto.Hash.keccak").new(digest_bits=256, data=data).digest()
    return digest


def personal_digest(message: bytes) -> bytes:
    """What `personal_sign` signs (EIP-191, version 0x45)."""
    return keccak256(_PREFIX + str(len(message)).encode("ascii") + message)


def recover(digest: bytes, signature: bytes) -> bytes | None:
    """The public key that made a signature, or None where none did.

    Args:
        digest: 32 bytes that were signed.
        signature: r ‖ s ‖ v, with v from 0 to 3, or 27 to 30 as wallets write it. s must be the
            smaller of its two forms, so that a signature has one encoding only.

    Returns:
        The point, uncompressed: 0x04 ‖ x ‖ y.
    """
    keys = _needed("coincurve")
    if len(signature) != SIGNATURE or len(digest) != 32:
        return None
    recovery = signature[64] - 27 if 27 <= signature[64] <= 30 else signature[64]
    if recovery > 3 or int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        return None
    plain = signature[:64] + bytes([recovery])
    try:
        found = keys.PublicKey.from_signature_and_message(plain, digest, hasher=None)
    except Exception:  # noqa: BLE001 - the library raises bare exceptions
        return None
    point: bytes = found.format(compressed=False)
    return point


def address(point: bytes) -> bytes:
    """The 20 bytes that name a public key (0x04 ‖ x ‖ y)."""
    return keccak256(point[1:])[-ADDRESS:]


def personal_signer(message: bytes, signature: bytes) -> bytes | None:
    """The address that signed a message by `personal_sign`, or None where no key did."""
    point = recover(personal_digest(message), signature)
    return None if point is None else address(point)


def _needed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise Unavailable(
            f"this needs the library {name.partition('.')[0]}, which is not installed",
            fix="install troth with the extra 'services'",
        ) from error
