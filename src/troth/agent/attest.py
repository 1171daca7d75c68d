"""The agent alone talks to the security module, and alone chooses what evidence binds."""

import threading
from typing import Final

from troth.platforms.nitro.collect import Nsm
from troth.verifier.binding import Tag, bind

PLATFORM: Final = "nitro"
MIN_NONCE: Final = 8
MAX_NONCE: Final = 512  # of what AWS's text allows
MAX_RANDOM: Final = 4096


class Attester:
    """Makes evidence, one tag for each purpose.

    Args:
        nsm: the security module; used by one thread at a time.
        identity: SubjectPublicKeyInfo (DER) of the identity key.
    """

    def __init__(self, nsm: Nsm, identity: bytes) -> None:
        self._nsm = nsm
        self._identity = identity
        self._lock = threading.Lock()

    def for_channel(self, exporter: bytes, key: bytes, nonce: bytes) -> bytes:
        """Evidence of one TLS session."""
        return self._make(bind(Tag.CHANNEL, exporter, key, nonce), nonce, key)

    def for_identity(self, nonce: bytes) -> bytes:
        """Evidence that the identity key was made in here."""
        key = self._identity
        return self._make(bind(Tag.IDENTITY, key, nonce), nonce, key)

    def for_app(self, data: bytes, nonce: bytes) -> bytes:
        """Evidence over data of the app's, under the app's tag and never with a key in it."""
        return self._make(bind(Tag.APP, data, nonce), nonce, None)

    def random(self, size: int) -> bytes:
        """Unpredictable bytes: the platform's, stretched by nothing."""
        drawn = b""
        while len(drawn) < size:
            with self._lock:
                drawn += self._nsm.random()
        return drawn[:size]

    def _make(self, binding: bytes, nonce: bytes, key: bytes | None) -> bytes:
        with self._lock:
            return self._nsm.attest(user_data=binding, nonce=nonce, public_key=key)
