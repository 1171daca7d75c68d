"""Strict compact JWS (RFC 7515, 7.1) and JWK sets (RFC 7517): bytes to values. No crypto, no network.

Stricter than the standards, which no service needs to be read: base64url in its one form, JSON without
duplicate keys, header and payload are objects, text and nothing around it.

Does not verify: anything. What a header asks for is only said, never done: no address in it is
followed, no key in it used. `alg` is a word for the caller to compare with the one that it expects.
"""

import base64
import binascii
import json as library
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from troth.errors import Malformed
from troth.wire import json, x509
from troth.wire.text import from_base64

MAX_TOKEN: Final = 256 * 1024
MAX_HEADER: Final = 64 * 1024
MAX_SIGNATURE: Final = 2 * 1024
MAX_SET: Final = 1024 * 1024
MAX_KEYS: Final = 256
MAX_DEPTH: Final = 32

_COORDINATE: Final = {"P-256": 32, "P-384": 48}
# SubjectPublicKeyInfo up to the point (RFC 5480): one encoding for each curve.
_CURVE: Final = {
    "P-256": bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
    "P-384": bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"),
}
_RSA: Final = bytes.fromhex("300d06092a864886f70d0101010500")
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_MAX_MODULUS: Final = 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """A token as it was presented.

    Attributes:
        header: the protected header; there is no other in the compact form.
        payload: its bytes.
        signature: its bytes, none for `alg` none.
        signed: the bytes that a signature is over: header and payload as they were encoded.
        text: all of it.
    """

    header: Mapping[str, Any]
    payload: bytes
    signature: bytes
    signed: bytes
    text: bytes

    @property
    def alg(self) -> str:
        """The algorithm that the header names, letter by letter; empty where it names none in text."""
        return _word(self.header, "alg")

    @property
    def kid(self) -> str:
        """The key that the header names; empty where it names none in text."""
        return _word(self.header, "kid")

    def claims(self, field: str = "token") -> Mapping[str, Any]:
        """The payload as the object that a JWT's is (RFC 7519).

        Raises:
            Malformed: it is none.
        """
        return _object(self.payload, f"{field}.payload", MAX_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwk:
    """One public key of a set.

    Attributes:
        kid: its name; empty where it has none.
        alg: the only algorithm that it is for; empty where it does not say.
        spki: SubjectPublicKeyInfo, DER; out of the key's own numbers, or its certificate where these
            are absent. Empty where the key is of no use, for which see `trouble`.
        x5c: DER of its certificates, the key's own first.
        trouble: why it must not be used, in words; empty where nothing speaks against it.
    """

    kid: str
    alg: str
    spki: bytes
    x5c: tuple[bytes, ...]
    trouble: str


def looks_like(data: bytes) -> bool:
    """Whether these bytes may be a compact JWS: its first letters are those of `{"`."""
    return data[:3] == b"eyJ"


def read(data: bytes, field: str = "token") -> Jws:
    """Exactly one compact JWS.

    Raises:
        Malformed: not three parts of canonical base64url, a header that is no object of strict JSON,
            or too large.
    """
    if len(data) > MAX_TOKEN:
        raise Malformed(f"is larger than {MAX_TOKEN} bytes", field=field)
    parts = data.split(b".", 4)
    if len(parts) != 3:
        raise Malformed(
            f"has {'more than 4' if len(parts) > 4 else len(parts)} parts, should have 3",
            field=field,
            fix="give the compact form, HEADER.PAYLOAD.SIGNATURE, and nothing around it",
        )
    header, payload, signature = parts
    if len(signature) > MAX_SIGNATURE:
        raise Malformed(f"is larger than {MAX_SIGNATURE} letters", field=f"{field}.signature")
    return Jws(
        header=_object(_url(header, f"{field}.header"), f"{field}.header", MAX_HEADER),
        payload=_url(payload, f"{field}.payload", offset=len(header) + 1),
        signature=_url(signature, f"{field}.signature", offset=len(header) + len(payload) + 2),
        signed=data[: len(header) + 1 + len(payload)],
        text=data,
    )


@lru_cache(maxsize=32)
def read_set(data: bytes, field: str = "key set") -> tuple[Jwk, ...]:
    """The keys of a JWK set, also those that are of no use.

    A pure function of its bytes, remembered for speed.

    Raises:
        Malformed: it is no object with a list of keys, a key's part is not in its one form, or it is
            too large.
    """
    value = _object(data, field, MAX_SET)
    keys = value.get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise Malformed(f"should have a list of at most {MAX_KEYS} keys", field=field)
    return tuple(_key(key, f"{field}.keys[{place}]") for place, key in enumerate(keys))


def read_key(value: Any, field: str = "key") -> Jwk:
    """One JWK, such as a token's claims hold.

    Raises:
        Malformed: it is no object, or a part is not in its one form.
    """
    return _key(value, field)


def from_url(text: Any, field: str) -> bytes:
    """Bytes of unpadded base64url in its one form (RFC 7515, 2).

    Raises:
        Malformed: no text, another letter, a length that none has, or bits set behind the end.
    """
    if not isinstance(text, str) or not text.isascii():
        raise Malformed("is not base64url", field=field)
    return _url(text.encode("ascii"), field)


def to_url(data: bytes) -> str:
    """The one form of bytes as base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def chain(value: Any, field: str) -> tuple[bytes, ...]:
    """The DER of each certificate of an `x5c` (RFC 7515, 4.1.6): standard base64, leaf first.

    Raises:
        Malformed: no list of at most as many as a chain has, or one is not base64 in its one form.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= x509.MAX_CHAIN:
        raise Malformed(f"should be a list of 1 to {x509.MAX_CHAIN} certificates", field=field)
    found = []
    for place, text in enumerate(value):
        where = f"{field}[{place}]"
        if not isinstance(text, str) or not text.isascii() or text.endswith(("\r", "\n")):
            raise Malformed("is not base64", field=where)
        found.append(from_base64(text.encode("ascii"), field=where))
    return tuple(found)


def _url(text: bytes, field: str, *, offset: int = 0) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise Malformed("is not base64url", field=field, offset=offset) from None
    # The library skips letters that are none, takes both alphabets, and lets unused bits be set.
    if to_url(data).encode("ascii") != text:
        raise Malformed("is not base64url in its one form", field=field, offset=offset)
    return data


def _object(data: bytes, field: str, limit: int) -> Mapping[str, Any]:
    value = json.parse(data, field=field, limit=limit)
    if not isinstance(value, dict):
        raise Malformed("is not an object", field=field)
    _shallow(value, field)
    if b"\\u" in data:
        _text(value, field)
    return value


def _text(value: Any, field: str) -> None:
    """Refuses half a surrogate pair, which only an escape can hold (RFC 7493, 2.1)."""
    try:
        library.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("holds half a surrogate pair", field=field) from None


def _shallow(value: Any, field: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise Malformed(f"is nested deeper than {MAX_DEPTH}", field=field)


def _word(value: Mapping[str, Any], name: str) -> str:
    word = value.get(name)
    return word if isinstance(word, str) else ""


def _key(value: Any, field: str) -> Jwk:
    if not isinstance(value, dict):
        raise Malformed("is not an object", field=field)
    for name in ("kty", "kid", "alg", "use", "crv"):
        if not isinstance(value.get(name, ""), str):
            raise Malformed("is not text", field=f"{field}.{name}")
    certificates = chain(value["x5c"], f"{field}.x5c") if "x5c" in value else ()
    spki, wrong = _numbers(value, field)
    certified, unread = _certified(certificates)
    if any(name in value for name in _PRIVATE):
        trouble = "its private part lies open"
    elif value.get("kty") not in ("RSA", "EC"):
        trouble = f"is of the kind {value.get('kty', '')[:20]!r}"
    elif value.get("use", "sig") != "sig":
        trouble = f"is for {value['use'][:20]!r} and not for signatures"
    elif spki and certified and spki != certified:
        trouble = "its certificate is of another key"
    else:
        spki = spki or certified
        trouble = wrong or unread or ("" if spki else "has neither numbers nor a certificate")
    return Jwk(
        kid=value.get("kid", ""),
        alg=value.get("alg", ""),
        spki=b"" if trouble else spki,
        x5c=certificates,
        trouble=trouble,
    )


def _certified(certificates: tuple[bytes, ...]) -> tuple[bytes, str]:
    """The key that the first is of, and why it cannot be read."""
    try:
        return (x509.read(certificates[0]).key if certificates else b""), ""
    except Malformed as error:
        return b"", f"its certificate cannot be read: {error}"


def _numbers(value: Mapping[str, Any], field: str) -> tuple[bytes, str]:
    """SubjectPublicKeyInfo out of the key's own numbers (RFC 7518, 6), and what is wrong with them."""
    if value.get("kty") == "RSA" and ("n" in value or "e" in value):
        modulus, exponent = (from_url(value.get(name), f"{field}.{name}") for name in ("n", "e"))
        if not modulus or not exponent or not modulus[0] or not exponent[0]:
            return b"", "a number of it is not in its shortest form"
        if len(modulus) > _MAX_MODULUS or len(exponent) > 4:
            return b"", "a number of it is larger than any key's in use"
        numbers = _element(0x30, _unsigned(modulus) + _unsigned(exponent))
        return _element(0x30, _RSA + _element(0x03, b"\0" + numbers)), ""
    if value.get("kty") == "EC" and ("x" in value or "y" in value):
        curve = value.get("crv", "")
        x, y = (from_url(value.get(name), f"{field}.{name}") for name in ("x", "y"))
        if curve not in _CURVE:
            return b"", f"is on the curve {curve[:20]!r}"
        if {len(x), len(y)} != {_COORDINATE[curve]}:
            return b"", f"its coordinates are not of {_COORDINATE[curve]} bytes"
        return _CURVE[curve] + b"\x04" + x + y, ""
    return b"", ""


def _unsigned(number: bytes) -> bytes:
    return _element(0x02, (b"\0" if number[0] & 0x80 else b"") + number)


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    width = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + size.to_bytes(width, "big") + content
