"""Compact JWS and JWK sets: one form only, and nothing in a header is done."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.wire import jose

RSA = rsa.generate_private_key(65537, 2048).public_key()
P384 = ec.generate_private_key(ec.SECP384R1()).public_key()
HEADER = {"alg": "RS256", "kid": "one", "typ": "JWT"}
CLAIMS = {"iss": "https://issuer.example", "exp": 10}


def url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(header: Any = HEADER, payload: Any = CLAIMS, signature: bytes = b"\1\2\3") -> bytes:
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(map(url, parts)).encode()


def whole(number: int) -> str:
    return url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def rsa_key(**other: Any) -> dict[str, Any]:
    numbers = RSA.public_numbers()
    return {"kty": "RSA", "kid": "one", "n": whole(numbers.n), "e": whole(numbers.e), **other}


def ec_key(**other: Any) -> dict[str, Any]:
    numbers = P384.public_numbers()
    x, y = (url(n.to_bytes(48, "big")) for n in (numbers.x, numbers.y))
    return {"kty": "EC", "kid": "two", "crv": "P-384", "x": x, "y": y, **other}


def key_set(*keys: Any, **other: Any) -> bytes:
    return json.dumps({"keys": list(keys), **other}).encode()


def spki(key: Any) -> bytes:
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


def test_a_token_is_read() -> None:
    text = token()
    read = jose.read(text)
    assert (read.alg, read.kid) == ("RS256", "one")
    assert read.signature == b"\1\2\3"
    assert read.signed == text.rpartition(b".")[0]
    assert read.claims() == CLAIMS
    assert read.text == text
    assert jose.looks_like(text)
    assert jose.read(token(signature=b"")).signature == b""


@pytest.mark.parametrize(
    "change",
    [
        lambda t: b" " + t,
        lambda t: t + b" ",
        lambda t: t + b"\n",
        lambda t: t + b".",
        lambda t: t + b"..",
        lambda t: t + b"." + t,
        lambda t: b"." + t,
        lambda t: t.replace(b".", b"..", 1),
        lambda t: t.replace(b".", b"", 1),
        lambda t: t.replace(b".", b"=.", 1),
        lambda t: t + b"=",
        lambda t: t.replace(b".", b"\n.", 1),
        lambda t: t + b"A",
        lambda t: t + b"+A",
        lambda t: t + b"/A",
        lambda t: t + "é".encode(),
        lambda t: t + b"\0",
        lambda _: b"",
        lambda _: b"..",
        lambda _: b"." * 5,
        lambda t: t * 200,
        lambda t: t.partition(b".")[0] + b"." + b"A" * jose.MAX_TOKEN + b".AAAA",
    ],
)
def test_one_form_only(change: Any) -> None:
    with pytest.raises(Malformed):
        jose.read(change(token()))


def test_how_many_parts_and_how_long_a_signature() -> None:
    for parts, told in (
        ("a.b", "has 2 parts"),
        ("a.b.c.d", "has 4 parts"),
        ("a.b.c.d.e.f", "more"),
    ):
        with pytest.raises(Malformed, match=told):
            jose.read(parts.encode())
    longest = jose.MAX_SIGNATURE // 4 * 3
    assert jose.read(token(signature=bytes(longest))).signature == bytes(longest)
    with pytest.raises(Malformed, match="letters"):
        jose.read(token(signature=bytes(longest + 1)))


def test_unused_bits_are_zero() -> None:
    for last in "BCDEFGHIJKLMNOP":
        with pytest.raises(Malformed, match="one form"):
            jose.from_url("A" + last, "x")
    assert jose.from_url("AA", "x") == b"\0"
    assert jose.from_url("", "x") == b""
    for text in ("A", "AA=", "AA==", "A A", "AA\n", "A+", "A/", None, 7, b"AA", "AAAA\0"):
        with pytest.raises(Malformed):
            jose.from_url(text, "x")


@given(data=st.binary(max_size=100))
def test_base64url_round_trip(data: bytes) -> None:
    assert jose.from_url(jose.to_url(data), "x") == data
    assert jose.to_url(data) == url(data)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for text in (data, b"eyJ" + data, b".".join([data, data, data])):
        try:
            assert jose.read(text).text == text
        except Malformed:
            pass
    try:
        jose.read_set(data)
    except Malformed:
        pass


def test_every_truncation() -> None:
    text = token()
    for size in range(len(text)):
        try:
            read = jose.read(text[:size])
        except Malformed:
            continue
        assert read.signature != b"\1\2\3"


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b'"alg"',
        b"null",
        b"{",
        b"",
        b'{"alg":"RS256","alg":"none"}',
        b'{"alg":1.5}',
        b'{"a":NaN}',
        b'\xef\xbb\xbf{"alg":"RS256"}',
        b'{"alg":"\xff"}',
        b'{"alg":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b"[" * 40_000,
        b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"a":"' + b"a" * jose.MAX_HEADER + b'"}',
    ],
)
def test_headers_that_are_none(header: bytes) -> None:
    with pytest.raises(Malformed):
        jose.read(b".".join([url(header).encode(), url(b"{}").encode(), b"AAAA"]))


def test_words_of_the_header_are_text_or_absent() -> None:
    for value in (None, 1, ["RS256"], {"a": 1}, True):
        read = jose.read(token({"alg": value, "kid": value}))
        assert (read.alg, read.kid) == ("", "")


def test_payloads_that_are_no_claims() -> None:
    for payload in ([], "text", 7, None):
        read = jose.read(token(payload=payload))
        with pytest.raises(Malformed):
            read.claims()
    deep = json.loads("[" * jose.MAX_DEPTH + "]" * jose.MAX_DEPTH)
    with pytest.raises(Malformed, match="deeper"):
        jose.read(token(payload={"a": deep})).claims()


def test_keys_are_read() -> None:
    first, second = jose.read_set(key_set(rsa_key(alg="RS256", use="sig"), ec_key()))
    assert (first.kid, first.alg, first.spki, first.trouble) == ("one", "RS256", spki(RSA), "")
    assert (second.kid, second.alg, second.spki, second.trouble) == ("two", "", spki(P384), "")
    small = ec.generate_private_key(ec.SECP256R1()).public_key()
    numbers = small.public_numbers()
    x, y = (url(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
    assert jose.read_key({"kty": "EC", "crv": "P-256", "x": x, "y": y}).spki == spki(small)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (rsa_key(d="AA"), "private"),
        (ec_key(d="AA"), "private"),
        (ec_key(k="AA"), "private"),
        (rsa_key(use="enc"), "not for signatures"),
        ({"kty": "oct", "k": "AAAA"}, "private"),
        ({"kty": "oct"}, "kind"),
        ({"kty": "OKP", "crv": "Ed25519", "x": url(bytes(32))}, "kind"),
        ({"kty": "rsa", "n": "AQAB", "e": "AQAB"}, "kind"),
        ({"kty": "RSA"}, "neither"),
        ({"kty": "EC"}, "neither"),
        ({"kty": "EC", "crv": "P-384"}, "neither"),
        ({}, "kind"),
        (rsa_key(n="AAAB"), "shortest"),
        (rsa_key(e="AAEAAQ"), "shortest"),
        (rsa_key(n=""), "shortest"),
        (rsa_key(n="_" * 2000), "larger"),
        (rsa_key(e="_" * 8), "larger"),
        (ec_key(crv="P-521"), "curve"),
        (ec_key(crv="p-384"), "curve"),
        (ec_key(x="AAAA"), "48 bytes"),
        (ec_key(x5c=["AAAA"]), "cannot be read"),
    ],
)
def test_keys_of_no_use_stay_in_the_set(key: dict[str, Any], why: str) -> None:
    bad, good = jose.read_set(key_set(key, rsa_key()))
    assert why in bad.trouble
    assert bad.spki == b""
    assert good.trouble == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":[7]}',
        b'{"keys":[{"kid":7}]}',
        b'{"keys":[{"kty":"RSA","kid":"a","kid":"b"}]}',
        key_set(*[{}] * (jose.MAX_KEYS + 1)),
        key_set(rsa_key(n="AQAB=")),
        key_set(rsa_key(n="AQAB\n")),
        key_set(rsa_key(n="AB")),
        key_set({"kty": "RSA", "n": "AQAB"}),
        key_set({"kty": "EC", "crv": "P-384", "x": "AA"}),
        key_set({"kty": "EC", "crv": "P-384", "y": "AA"}),
        key_set({"kty": "RSA", "e": "AQAB"}),
        key_set(rsa_key(x5c=[])),
        key_set(rsa_key(x5c="AAAA")),
        key_set(rsa_key(x5c=["AAA"])),
        key_set(rsa_key(x5c=["AAAA\n"])),
        key_set(rsa_key(x5c=["AA_A"])),
        key_set(rsa_key(x5c=["AB=="])),
        key_set(rsa_key(x5c=[7])),
        key_set(rsa_key(x5c=["AAAA"] * 9)),
        b'{"keys":[' + b"[" * 100 + b"]" * 100 + b"]}",
        b'{"keys":[],"a":"' + b"a" * jose.MAX_SET + b'"}',
    ],
)
def test_sets_that_are_none(data: bytes) -> None:
    with pytest.raises(Malformed):
        jose.read_set(data)
