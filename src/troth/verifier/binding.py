"""What evidence is bound to: a hash over a tag, lengths and fields, so that no purpose reads as another.

The agent alone sets these bytes. An app can have data bound under its own tag only, so evidence that
an app asked for can never be taken for the evidence of a channel or an identity.
"""

import hashlib
from enum import StrEnum
from typing import Final

SIGNING_DOMAIN: Final = b"troth/sign/1\x00"
"""Stands before what the agent's identity key signs."""
_DOMAIN: Final = b"troth-binding/1"


class Tag(StrEnum):
    """The purposes, one tag each, with the fields that each binds in order."""

    CHANNEL = "troth/channel/1"
    """TLS exporter (32 bytes) · SubjectPublicKeyInfo of the certificate (DER) · nonce."""
    IDENTITY = "troth/identity/1"
    """SubjectPublicKeyInfo of the identity key (DER) · nonce."""
    APP = "troth/app/1"
    """Data of the application · nonce."""


def bind(tag: Tag, *fields: bytes) -> bytes:
    """The 64 bytes that evidence carries for these fields under this tag.

    SHA-512 over the domain, the tag with its length (u16), and each field with its length (u64), all
    big-endian.
    """
    digest = hashlib.sha512(_DOMAIN)
    name = tag.value.encode("ascii")
    digest.update(len(name).to_bytes(2, "big") + name)
    for value in fields:
        digest.update(len(value).to_bytes(8, "big"))
        digest.update(value)
    return digest.digest()
