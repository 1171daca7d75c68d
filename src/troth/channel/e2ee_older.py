"""The older encryption of fields (Phala, NEAR AI): to the key that signs answers, without associated data.

Two kinds: `ecdsa`, an ephemeral key on secp256k1, HKDF-SHA256 and AES-256-GCM; and `ed25519` in its version
2, both keys taken to X25519, HKDF-SHA256 and XChaCha20-Poly1305. A field is hex(ephemeral ‖ nonce ‖
ciphertext with its tag).

Does not bind: which request, field or model a ciphertext is of. Whoever ends TLS can move fields about,
repeat them, and leave them away.
"""

import secrets
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from troth.channel.e2ee import Field, compact
from troth.channel.signatures import ECDSA, ED25519
from troth.errors import Malformed, Unavailable
from troth.wire.text import from_hex

NOT_BOUND: Final = (
    "encrypted fields name no request, place or model: whoever ends TLS can move, repeat or drop them",
)
_INFO: Final = MappingProxyType({ECDSA: b"ecdsa_encryption", ED25519: b"ed25519_encryption"})
_POINT: Final = 65
_RAW: Final = 32
_GCM_NONCE: Final = 12
_XCHACHA_NONCE: Final = 24
_TAG: Final = 16

Private = ec.EllipticCurvePrivateKey | Ed25519PrivateKey


def headers(algorithm: str, *, client: bytes, service: bytes) -> Mapping[str, str]:
    """What a request with encrypted fields says.

    Args:
        algorithm: `ecdsa` or `ed25519`.
        client: the key that the answer is for.
        service: the key that the request was encrypted to.
    """
    return {
        "X-Signing-Algo": algorithm,
        "X-Client-Pub-Key": client.hex(),
        "X-Model-Pub-Key": service.hex(),
        "X-Encryption-Version": "2",
        "X-Encrypt-All-Fields": "true",
    }


def new_key(algorithm: str) -> Private:
    """A key pair of a kind."""
    if algorithm == ECDSA:
        return ec.generate_private_key(ec.SECP256K1())
    return Ed25519PrivateKey.generate()


def public(key: Private) -> bytes:
    """65 bytes of an uncompressed point, or 32."""
    if isinstance(key, Ed25519PrivateKey):
        return key.public_key().public_bytes_raw()
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def seal(plain: bytes, *, to: bytes) -> str:
    """Encrypts one field to a point of 65 bytes, or to an Ed25519 key of 32.

    Raises:
        Malformed: the key is none.
        Unavailable: libsodium is not installed (`ed25519` alone needs it).
    """
    if len(to) == _POINT:
        ephemeral = ec.generate_private_key(ec.SECP256K1())
        nonce = secrets.token_bytes(_GCM_NONCE)
        cipher = AESGCM(_key(_shared(ephemeral, to), ECDSA))
        return (public(ephemeral) + nonce + cipher.encrypt(nonce, plain, None)).hex()
    sodium = _sodium()
    nonce = secrets.token_bytes(_XCHACHA_NONCE)
    point, scalar = sodium.crypto_box_keypair()
    try:
        theirs = sodium.crypto_sign_ed25519_pk_to_curve25519(to)
        shared = sodium.crypto_scalarmult(scalar, theirs)
    except Exception as error:  # noqa: BLE001 - the library has several of its own
        raise Malformed(f"is no key to agree with: {error}", field="E2EE public key") from None
    sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        plain, None, nonce, _key(shared, ED25519)
    )
    return bytes(point + nonce + sealed).hex()


def unseal(field: Any, *, key: Private) -> bytes:
    """Decrypts one field.

    Raises:
        Malformed: it is not such a field, or was made for another key.
        Unavailable: libsodium is not installed.
    """
    if not isinstance(field, str):
        raise Malformed("is not encrypted", field="E2EE field")
    data = from_hex(field, field="E2EE field")
    mine = isinstance(key, Ed25519PrivateKey)
    head, wide = (_RAW, _XCHACHA_NONCE) if mine else (_POINT, _GCM_NONCE)
    if len(data) < head + wide + _TAG:
        raise Malformed("is too short to be encrypted", field="E2EE field")
    ephemeral, nonce, sealed = data[:head], data[head : head + wide], data[head + wide :]
    if not isinstance(key, Ed25519PrivateKey):
        cipher = AESGCM(_key(_shared(key, ephemeral), ECDSA))
        try:
            return cipher.decrypt(nonce, sealed, None)
        except InvalidTag:
            raise _wrong() from None
    sodium = _sodium()
    raw = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    try:
        shared = sodium.crypto_scalarmult(
            sodium.crypto_sign_ed25519_sk_to_curve25519(raw), ephemeral
        )
        plain: bytes = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed, None, nonce, _key(shared, ED25519)
        )
    except Exception:  # noqa: BLE001 - the library has its own for a tag that does not fit
        raise _wrong() from None
    return plain


def seal_fields(fields: Iterable[Field], *, to: bytes) -> None:
    """Encrypts places of a request or an answer, see `troth.channel.e2ee`; content of parts as JSON."""
    for place in list(fields):
        value = place.value
        plain = value.encode("utf-8") if isinstance(value, str) else compact(value)
        place.put(seal(plain, to=to))


def open_fields(fields: Iterable[Field], *, key: Private) -> None:
    """Decrypts them.

    Raises:
        Malformed: one is in the clear, or for another key, or is no text.
        Unavailable: as `unseal`.
    """
    for place in list(fields):
        try:
            place.put(unseal(place.value, key=key).decode("utf-8"))
        except UnicodeDecodeError:
            raise Malformed("is no text", field=place.path) from None


def _shared(mine: ec.EllipticCurvePrivateKey, theirs: bytes) -> bytes:
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), theirs)
    except ValueError as error:
        raise Malformed(f"is no key to agree with: {error}", field="E2EE public key") from None
    return mine.exchange(ec.ECDH(), point)


def _key(shared: bytes, algorithm: str) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_INFO[algorithm])
    return kdf.derive(shared)


def _wrong() -> Malformed:
    return Malformed("was not encrypted for this key", field="E2EE field")


def _sodium() -> Any:
    try:
        return import_module("nacl.bindings")
    except ImportError as error:
        raise Unavailable(
            "this encryption needs the library PyNaCl, which is not installed",
            fix="install troth with the extra 'services'",
        ) from error
