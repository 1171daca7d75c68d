"""A key made at this start of the enclave, that never leaves it and dies with it."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from troth.verifier.binding import SIGNING_DOMAIN


class Identity:
    """An Ed25519 key in memory.

    Attributes:
        spki: its SubjectPublicKeyInfo in DER, which evidence binds under the identity tag.
    """

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.spki = self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, data: bytes) -> bytes:
        """The signature (64 bytes) over the signing domain and these bytes."""
        return self._key.sign(SIGNING_DOMAIN + data)
