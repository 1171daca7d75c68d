"""What do the bytes of a token say? One signed text, or NVIDIA's bundle of them. Nothing is believed.

Source: RFC 7519; for the bundle, RFC 9711, 5 (detached EAT bundle, JSON form) as NVIDIA's service makes
it: the detached parts are whole tokens, and a digest is hex over the letters of the token.
"""

import json as library
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from troth.errors import Malformed
from troth.platforms.tokens.issuers import ISSUERS, NRAS, Issuer
from troth.wire import jose, json

MAX_BUNDLE: Final = 2 * 1024 * 1024
MAX_DEVICES: Final = 64

_TOKEN: Final = re.compile(rb"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.")
_BUNDLE: Final = re.compile(rb'[ \t\r\n]{0,64}\[[ \t\r\n]{0,64}\[[ \t\r\n]{0,64}"JWT"')
_DEVICE: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_TIMES: Final = ("exp", "nbf", "iat")
_MAX_TIME: Final = 253_402_300_799  # the last second of the year 9999
_MAX_SHOWN: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token.

    Attributes:
        issuer: whose it says that it is.
        jws: header and signature.
        claims: the payload's object. Times in it are whole seconds, or absent.
    """

    issuer: Issuer
    jws: jose.Jws
    claims: Mapping[str, Any]

    @property
    def iss(self) -> str:
        """The issuer as the token writes it."""
        return str(self.claims["iss"])

    @property
    def tokens(self) -> Mapping[str, "Token"]:
        """Each token by what reports call it."""
        return MappingProxyType({"token": self})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An answer of NVIDIA's service: the signed token over all, and each device's.

    Attributes:
        overall: what is said of all devices together.
        devices: name, such as `GPU-0`, to what is said of it.
    """

    overall: Token
    devices: Mapping[str, Token]

    @property
    def tokens(self) -> Mapping[str, Token]:
        """Each token by what reports call it, the one over all first."""
        return MappingProxyType({"overall": self.overall, **self.devices})


Document = Token | Bundle


def unwrap(issuer: Issuer, data: bytes) -> tuple[bytes, str] | None:
    """The bare token or bundle and words for what was removed, or None if it is not this issuer's.

    One line end behind a token is removed, and the white space that a bundle's JSON may have.

    Raises:
        Malformed: it has a token's first letters, and is none.
    """
    if _TOKEN.match(data):
        bare = data.removesuffix(b"\n").removesuffix(b"\r")
        mine = issuer.iss.fullmatch(_named(bare)) is not None
        return (bare, "" if bare == data else "a line end") if mine else None
    if issuer is NRAS and _BUNDLE.match(data):
        bare = json.canonical(_pieces(data))
        return bare, "" if bare == data else "white space in the bundle"
    return None


def parse(issuer: Issuer, data: bytes) -> Document:
    """The document, without a look at any key.

    Raises:
        Malformed: it is not in its one form, is of another issuer, or says a time that is none.
    """
    if not data.startswith(b"["):
        token = _token(issuer, data, "token")
        if issuer is NRAS:
            raise Malformed(
                "is one token alone",
                field="bundle",
                fix="give the whole answer of NVIDIA's service: the devices' tokens belong to it",
            )
        return token
    if issuer is not NRAS:
        raise Malformed("is no token", field="token", offset=0)
    pieces = _pieces(data)
    if json.canonical(pieces) != data:
        raise Malformed("is not in its shortest form", field="bundle")
    (_, overall), devices = pieces
    return Bundle(
        overall=_token(issuer, overall.encode("ascii"), "overall"),
        devices=MappingProxyType(
            {name: _token(issuer, devices[name].encode("ascii"), name) for name in sorted(devices)}
        ),
    )


def fields(issuer: Issuer, data: bytes) -> Iterator[tuple[str, str]]:
    """Everything that the tokens say, for people: header and claims, by their names.

    Raises:
        Malformed: as `parse`.
    """
    for name, token in parse(issuer, data).tokens.items():
        head = "" if name == "token" else f"{name}."
        for key, value in token.jws.header.items():
            yield f"{head}header.{key}", _shown(value)
        for key, value in sorted(token.claims.items()):
            yield f"{head}{key}", _shown(value)
        yield f"{head}signature", token.jws.signature.hex()


@lru_cache(maxsize=8)
def _named(data: bytes) -> str:
    """The issuer that a token names; empty where it names none in text. Four platforms ask."""
    name = jose.read(data).claims().get("iss")
    return name if isinstance(name, str) else ""


def _token(issuer: Issuer, data: bytes, field: str) -> Token:
    jws = jose.read(data, field)
    claims = jws.claims(field)
    name = claims.get("iss")
    if not isinstance(name, str) or not issuer.iss.fullmatch(name):
        known = ", ".join(one.title for one in ISSUERS)
        raise Malformed(
            f"is of {name!r:.80}, not of {issuer.title} (read are tokens of {known})",
            field=f"{field}.iss",
        )
    for time in _TIMES:
        value = claims.get(time, 0)
        if type(value) is not int or not 0 <= value <= _MAX_TIME:
            raise Malformed("is no time in whole seconds", field=f"{field}.{time}")
    return Token(issuer=issuer, jws=jws, claims=MappingProxyType(dict(claims)))


def _pieces(data: bytes) -> tuple[tuple[str, str], dict[str, str]]:
    """The letters of a bundle's tokens."""
    value = json.parse(data, field="bundle", limit=MAX_BUNDLE)
    match value:
        case [["JWT", str(overall)], dict(devices)] if overall.isascii():
            pass
        case _:
            raise Malformed('is not [["JWT", …], {…}]', field="bundle")
    if not 1 <= len(devices) <= MAX_DEVICES:
        raise Malformed(f"should have 1 to {MAX_DEVICES} devices", field="bundle")
    for name, text in devices.items():
        if not _DEVICE.fullmatch(name) or name == "overall":
            raise Malformed(f"{name[:40]!r} is no name of a device", field="bundle")
        if not isinstance(text, str) or not text.isascii():
            raise Malformed("is no token", field=f"bundle: {name}")
    return ("JWT", overall), devices


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else library.dumps(value, sort_keys=True)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}… ({len(text)} letters)"
