"""The key that somebody claims: a wallet's address or a public key, as people write them.

Forms, all in hex with or without `0x` but for the last: 20 bytes are an Ethereum address (EIP-55's capital
letters are a checksum and must be right); 32 are an Ed25519 or X25519 key; 33 and 65 a point on
secp256k1, as are 64 without the 0x04 before them; a SubjectPublicKeyInfo in DER; or one in PEM.
"""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from troth.crypto import ethereum
from troth.errors import Malformed, Misuse
from troth.wire import json
from troth.wire.text import from_base64, from_hex

ADDRESS: Final = ethereum.ADDRESS
_POINT: Final = 65
_MAX_TEXT: Final = 4096
_SECRET: Final = ("key", "private_key", "secret")
_PEM: Final = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
_FIX: Final = "give an address (0x and 40 digits), a public key in hex, or a PEM public key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A key, in as many of its forms as follow from the one that was given.

    Attributes:
        text: as it was given, for reports.
        address: 20 bytes, for secp256k1; empty otherwise.
        point: 0x04 ‖ x ‖ y on secp256k1, where more than an address was given; empty otherwise.
        raw: 32 bytes, for Ed25519 and X25519; empty otherwise.
        spki: SubjectPublicKeyInfo, DER, where that was given; empty otherwise.
    """

    text: str
    address: bytes = b""
    point: bytes = b""
    raw: bytes = b""
    spki: bytes = b""

    def is_key(self, key: bytes) -> bool:
        """Whether these bytes, in any form in which protocols write keys, are this key."""
        if len(key) == ADDRESS:
            return key == self.address
        if self.raw and len(key) == len(self.raw):
            return key == self.raw
        if self.spki and key == self.spki:
            return True
        point = _on_curve(key)
        if point is not None:
            return point == self.point if self.point else ethereum.address(point) == self.address
        other = _of_spki("", key)
        if other is None:
            return False
        return bool(other.raw and other.raw == self.raw) or bool(
            other.point and self.is_key(other.point)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The signatures by which a dstack key service vouches for a key.

    Attributes:
        purpose: what the key was asked for.
        public_key: 33 bytes compressed, or 32 of Ed25519.
        signatures: by the application's key, and by the service's root.
    """

    purpose: str
    public_key: bytes
    signatures: tuple[bytes, bytes]


def read(text: str) -> Claimed:
    """The key that a text names.

    Raises:
        Misuse: it names none, or its checksum is wrong.
        Unavailable: it is on secp256k1, and the extra `services` is not there.
    """
    shown = text.strip()
    if len(shown) > _MAX_TEXT:
        raise Misuse("the key is longer than any", fix=_FIX)
    if shown.startswith(_PEM[0]):
        return _pem(shown)
    try:
        data = from_hex(shown, field="key")
    except Malformed:
        raise Misuse(f"{shown[:80]!r} is no key that troth reads", fix=_FIX) from None
    if len(data) == ADDRESS:
        _checksum(shown, data)
        return Claimed(text=shown, address=data)
    if len(data) == 32:
        return Claimed(text=shown, raw=data)
    point = _on_curve(data)
    if point is not None:
        return Claimed(text=shown, address=ethereum.address(point), point=point)
    found = _of_spki(shown, data)
    if found is None:
        raise Misuse(f"{len(data)} bytes are no key that troth reads", fix=_FIX)
    return found


def read_chain(data: bytes | str) -> Chain:
    """A chain out of JSON: `purpose`, `public_key`, and `signature_chain` as dstack's agent gives it.

    `/Sign` puts the signature of the message before the two; it says nothing of the key, and is left out.

    Raises:
        Malformed: another form.
        Misuse: it holds the secret key itself.
    """
    field = "signature chain"
    value = json.parse(data, field=field)
    if isinstance(value, dict) and any(name in value for name in _SECRET):
        raise Misuse(
            "this file holds the secret key itself",
            fix="take `key` out and put `public_key` and `purpose` in; then consider the key as lost",
        )
    if not isinstance(value, dict) or not {"public_key", "signature_chain"} <= value.keys():
        raise Malformed("is no object with 'public_key' and 'signature_chain'", field=field)
    links = value["signature_chain"]
    purpose = value.get("purpose", "signing")
    if not isinstance(links, list) or len(links) not in (2, 3) or not isinstance(purpose, str):
        raise Malformed("has not two links, or three", field=field)
    application, root = (_bytes(link, field) for link in links[-2:])
    return Chain(
        purpose=purpose,
        public_key=_bytes(value["public_key"], "public_key"),
        signatures=(application, root),
    )


def among(keys: Sequence[Claimed], key: bytes) -> bool:
    """Whether a key is one of these."""
    return any(one.is_key(key) for one in keys)


def _bytes(value: Any, field: str) -> bytes:
    if not isinstance(value, str):
        raise Malformed("is not hexadecimal text", field=field)
    return from_hex(value, field=field)


def _pem(text: str) -> Claimed:
    body = text.removeprefix(_PEM[0]).removesuffix(_PEM[1])
    try:
        data = from_base64("".join(body.split()).encode("ascii"), field="PEM key")
    except (Malformed, UnicodeEncodeError):
        raise Misuse("the PEM text is no public key", fix=_FIX) from None
    found = _of_spki(text.splitlines()[0], data)
    if found is None:
        raise Misuse("the PEM text is no public key that troth reads", fix=_FIX)
    return found


def _of_spki(text: str, data: bytes) -> Claimed | None:
    try:
        key = load_der_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        return None
    if isinstance(key, ed25519.Ed25519PublicKey | x25519.X25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Claimed(text=text, raw=raw, spki=data)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256K1):
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return Claimed(text=text, address=ethereum.address(point), point=point, spki=data)
    return Claimed(text=text, spki=data)


def _on_curve(data: bytes) -> bytes | None:
    """A point on secp256k1 in full, out of its short form, its long one, or that without its first byte."""
    if len(data) == _POINT - 1:
        data = b"\x04" + data
    if len(data) not in (33, _POINT):
        return None
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), data)
    except ValueError:
        return None
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _checksum(text: str, address: bytes) -> None:
    digits = text.removeprefix("0x")
    if digits in (digits.lower(), digits.upper()):
        return
    digest = ethereum.keccak256(address.hex().encode("ascii")).hex()
    right = "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter
        for letter, nibble in zip(address.hex(), digest, strict=False)
    )
    if digits != right:
        raise Misuse(
            f"the capital letters of {text} are no checksum of it (EIP-55)",
            fix="copy the address again, from where it was first written",
        )
