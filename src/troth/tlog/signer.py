"""Private keys that sign notes: a log's, an owner's, a witness's. One line of text in a file that is its owner's alone."""

import base64
import re
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from troth.errors import Malformed, Misuse
from troth.tlog.note import KINDS, Kind, Signature, VerifierKey, cosigned, is_name
from troth.wire.text import from_base64

_KEY: Final = re.compile(r"PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,100})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key with its name.

    Attributes:
        verifier: its public half.
        private: Ed25519, never printed.
    """

    verifier: VerifierKey
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str, kind: Kind = Kind.ED25519) -> Self:
        """A new key.

        Raises:
            Misuse: nothing can have this name.
        """
        if not is_name(name):
            raise Misuse(
                f"{name[:60]!r} is no name of a key",
                fix="name it like a host with a path, example.com/log: no space, no plus",
            )
        return cls._of(name, kind, Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, text: str, *, source: str = "signing key") -> Self:
        """Reads a key as `text` writes it, and as Go's sumdb/note does.

        Raises:
            Malformed: it is no such key, or its id is not its own.
        """
        match = _KEY.fullmatch(text.strip())
        raw = b"" if match is None else from_base64(match[3].encode(), field=source)
        if match is None or not is_name(match[1]) or len(raw) != 33 or raw[0] not in KINDS:
            raise Malformed("is no signing key of a log", field=source)
        key = cls._of(match[1], Kind(raw[0]), Ed25519PrivateKey.from_private_bytes(raw[1:]))
        if key.verifier.id.hex() != match[2]:
            raise Malformed("the key's id is not its own", field=source)
        return key

    @classmethod
    def _of(cls, name: str, kind: Kind, private: Ed25519PrivateKey) -> Self:
        public = private.public_key().public_bytes_raw()
        return cls(
            verifier=VerifierKey(name=name, kind=kind, public=public),
            private=private,
        )

    def text(self) -> str:
        """The key in one line, with its line end. A secret."""
        key = self.verifier
        raw = bytes([key.kind]) + self.private.private_bytes_raw()
        return f"PRIVATE+KEY+{key.name}+{key.id.hex()}+{base64.b64encode(raw).decode()}\n"

    def sign(self, text: str, *, time: int | None = None) -> Signature:
        """A signature of a note's text.

        Args:
            text: with its line end.
            time: seconds since 1970, for a cosignature and only for one.

        Raises:
            Misuse: a time is missing, or given where there is none.
        """
        key = self.verifier
        if (time is None) != (key.kind is Kind.ED25519):
            raise Misuse(f"{key.name} signs {'with' if time is None else 'without'} a time")
        if time is None:
            data = self.private.sign(text.encode())
        else:
            data = time.to_bytes(8, "big") + self.private.sign(cosigned(text, time))
        return Signature(name=key.name, key_id=key.id, data=data)
