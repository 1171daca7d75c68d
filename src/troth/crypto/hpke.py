"""HPKE in base mode (RFC 9180): X25519 with HKDF-SHA256, and AES-256-GCM. One suite, both ends.

Composed of `cryptography`'s X25519, HKDF and AES-GCM. That library's own HPKE seals one message and
exports nothing; here one context seals many messages, and gives secrets for what the protocol above
does with them.

Does not authenticate the sender: base mode has no key of his.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from troth.errors import Malformed, Misuse

KEM_ID: Final = 0x0020
KDF_ID: Final = 0x0001
AEAD_ID: Final = 0x0002
KEY_SIZE: Final = 32
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
ENCAPSULATED_SIZE: Final = 32

_VERSION: Final = b"HPKE-v1"
_KEM_SUITE: Final = b"KEM" + KEM_ID.to_bytes(2, "big")
_SUITE: Final = b"HPKE" + b"".join(n.to_bytes(2, "big") for n in (KEM_ID, KDF_ID, AEAD_ID))
_BASE_MODE: Final = b"\0"
_HASH_SIZE: Final = 32


class Sealer:
    """The sender's context: messages in order, each under the next nonce.

    Args:
        public: the receiver's X25519 key, 32 bytes.
        info: what both ends take this context to be for.
        ephemeral: the sender's key pair of this one context; drawn where none is given, and given only
            by tests.

    Attributes:
        encapsulated: 32 bytes that the receiver needs.

    Raises:
        Malformed: `public` is no X25519 key, or one whose every secret is zero.
    """

    def __init__(
        self, public: bytes, info: bytes, *, ephemeral: X25519PrivateKey | None = None
    ) -> None:
        ephemeral = ephemeral or X25519PrivateKey.generate()
        self.encapsulated: Final = ephemeral.public_key().public_bytes_raw()
        self._context = _Context(
            _agreed(ephemeral, public, "HPKE public key"), self.encapsulated, public, info
        )

    def seal(self, plaintext: bytes, aad: bytes = b"") -> bytes:
        """The next message, 16 bytes longer than its plaintext."""
        context = self._context
        return context.aead.encrypt(context.next_nonce(), plaintext, aad)

    def export(self, label: bytes, size: int = KEY_SIZE) -> bytes:
        """A secret that both ends have, for the protocol above (section 5.3)."""
        return self._context.export(label, size)


class Opener:
    """The receiver's context.

    Args:
        private: whose public key the sender used.
        encapsulated: as it came, 32 bytes.
        info: as the sender's.

    Raises:
        Malformed: `encapsulated` is no X25519 key, or one whose every secret is zero.
    """

    def __init__(self, private: X25519PrivateKey, encapsulated: bytes, info: bytes) -> None:
        public = private.public_key().public_bytes_raw()
        self._context = _Context(
            _agreed(private, encapsulated, "HPKE encapsulated key"), encapsulated, public, info
        )

    def open(self, ciphertext: bytes, aad: bytes = b"") -> bytes:
        """The plaintext of the next message.

        Raises:
            Malformed: it is not that message, or not under this key.
        """
        context = self._context
        return opened(context.aead, context.next_nonce(), ciphertext, aad)

    def export(self, label: bytes, size: int = KEY_SIZE) -> bytes:
        """As the sender's."""
        return self._context.export(label, size)


def opened(aead: AESGCM, nonce: bytes, ciphertext: bytes, aad: bytes = b"") -> bytes:
    """The plaintext of one ciphertext, its tag checked.

    Raises:
        Malformed: the tag is not this key's, nonce's and data's.
    """
    try:
        return aead.decrypt(nonce, ciphertext, aad)
    except (InvalidTag, ValueError):  # the second: shorter than a tag
        raise Malformed("is not sealed under this key in this order", field="ciphertext") from None


def nth_nonce(base: bytes, index: int) -> bytes:
    """The nonce of message `index` of a context (section 5.2).

    Raises:
        Misuse: the counter has run out.
    """
    if not 0 <= index < 1 << 64:
        raise Misuse("too many messages under one key")
    return (int.from_bytes(base, "big") ^ index).to_bytes(NONCE_SIZE, "big")


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869 section 2.2)."""
    mac = hmac.HMAC(salt, hashes.SHA256())
    mac.update(secret)
    return mac.finalize()


def expand(key: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 section 2.3)."""
    return HKDFExpand(algorithm=hashes.SHA256(), length=size, info=info).derive(key)


class _Context:
    """What both ends derive (section 5.1), and how many messages went through it."""

    def __init__(self, agreed: bytes, encapsulated: bytes, public: bytes, info: bytes) -> None:
        extracted = _extract(_KEM_SUITE, b"", b"eae_prk", agreed)
        shared = _expand(_KEM_SUITE, extracted, b"shared_secret", encapsulated + public, _HASH_SIZE)
        context = (
            _BASE_MODE
            + _extract(_SUITE, b"", b"psk_id_hash", b"")
            + _extract(_SUITE, b"", b"info_hash", info)
        )
        secret = _extract(_SUITE, shared, b"secret", b"")
        self.aead = AESGCM(_expand(_SUITE, secret, b"key", context, KEY_SIZE))
        self._base_nonce = _expand(_SUITE, secret, b"base_nonce", context, NONCE_SIZE)
        self._exporter = _expand(_SUITE, secret, b"exp", context, _HASH_SIZE)
        self._messages = 0

    def next_nonce(self) -> bytes:
        nonce = nth_nonce(self._base_nonce, self._messages)
        self._messages += 1
        return nonce

    def export(self, label: bytes, size: int) -> bytes:
        return _expand(_SUITE, self._exporter, b"sec", label, size)


def _agreed(private: X25519PrivateKey, public: bytes, field: str) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # another size, or a point of small order: the library refuses a zero secret
        raise Malformed("is no usable X25519 key", field=field) from None


def _extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return extract(salt, _VERSION + suite + label + secret)


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, size: int) -> bytes:
    return expand(key, size.to_bytes(2, "big") + _VERSION + suite + label + info, size)
