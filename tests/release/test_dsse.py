"""Envelopes: the exact bytes that are signed, and everything that must not pass for a signature."""

import base64
import json as stdlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from hypothesis import given, settings
from hypothesis import strategies as st
from sigstore import dsse as sigstore_dsse
from sigstore.errors import VerificationError
from sigstore_models.intoto import Envelope as _Envelope
from tests.release.supplied import private_pem, public_pem

from troth.crypto import public
from troth.errors import Malformed, Misuse
from troth.release import dsse
from troth.release.dsse import IN_TOTO, Envelope, Signature
from troth.release.keys import FileKey, from_pem
from troth.wire import json

ED = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
KEYS = (ED, P256, P384)


def pair(key: Any) -> tuple[public.PublicKey, FileKey]:
    return public.of(key.public_key()), FileKey(private=key)


def signed(*keys: Any, payload: bytes = b'{"a":1}', kind: str = IN_TOTO) -> Envelope:
    return dsse.sign(payload, payload_type=kind, keys=[pair(key) for key in keys])


def test_the_encoding_is_that_of_the_protocol() -> None:
    """The example of the protocol's own text."""
    assert (
        dsse.pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert dsse.pae("", b"") == b"DSSEv1 0  0 "


@given(st.text("abc/+é", max_size=40).filter(str.isascii), st.binary(max_size=200))
def test_another_projects_encoding_is_the_same(kind: str, payload: bytes) -> None:
    assert sigstore_dsse._pae(kind, payload) == dsse.pae(kind, payload)


def test_another_project_verifies_what_is_signed_here() -> None:
    """The package sigstore's own reader of envelopes, which takes one signature on P-256."""
    theirs = sigstore_dsse.Envelope(_Envelope.from_json(signed(P256).to_json()))
    assert sigstore_dsse._verify(P256.public_key(), theirs) == b'{"a":1}'
    with pytest.raises(VerificationError):
        sigstore_dsse._verify(ec.generate_private_key(ec.SECP256R1()).public_key(), theirs)


@given(st.text(max_size=9), st.binary(max_size=9), st.text(max_size=9), st.binary(max_size=9))
def test_no_two_payloads_are_signed_as_the_same_bytes(a: str, b: bytes, c: str, d: bytes) -> None:
    assert ((a, b) == (c, d)) == (dsse.pae(a, b) == dsse.pae(c, d))


@pytest.mark.parametrize("key", KEYS)
def test_what_is_signed_verifies_and_is_read_back(key: Any) -> None:
    made = signed(key)
    data = made.to_json()
    assert dsse.read(data) == made
    assert dsse.problems(made, [pair(key)[0]]) == ()
    assert stdlib.loads(data)["payloadType"] == IN_TOTO
    assert from_pem(private_pem(key), edwards=True).private.public_key() == key.public_key()
    assert public.from_pem(public_pem(key)) == pair(key)[0]


def test_each_key_must_have_signed_and_nobody_else() -> None:
    keys = [pair(key)[0] for key in KEYS]
    both = signed(ED, P256)
    assert dsse.problems(both, keys[:2]) == ()
    assert "did not sign" in dsse.problems(both, keys)[0]
    assert "was not given" in dsse.problems(both, keys[:1])[0]
    assert len(dsse.problems(signed(P384), keys[:1])) == 2
    with pytest.raises(Misuse, match="verified with a key"):
        dsse.problems(both, [])


def test_one_bad_signature_of_two_spoils_both() -> None:
    both = signed(ED, P256)
    first, second = both.signatures
    keys = [pair(ED)[0], pair(P256)[0]]
    for bad in (
        replace(second, sig=first.sig),
        replace(second, sig=signed(P256, payload=b"other").signatures[0].sig),
        replace(second, keyid=first.keyid),
        replace(second, keyid="0" * 64),
        replace(second, keyid=""),
    ):
        assert dsse.problems(replace(both, signatures=(first, bad)), keys)
        assert dsse.problems(replace(both, signatures=(first, bad)), keys[:1])
    twice = replace(both, signatures=(first, first))
    assert "twice" in dsse.problems(twice, keys[:1])[0]


def test_bytes_of_one_type_are_not_those_of_another() -> None:
    made = signed(ED, kind="text/plain")
    assert dsse.problems(replace(made, payload_type=IN_TOTO), [pair(ED)[0]])
    # Nor does a signature over the payload alone count.
    bare = Signature(keyid=pair(ED)[0].id, sig=ED.sign(made.payload))
    assert dsse.problems(replace(made, signatures=(bare,)), [pair(ED)[0]])


def test_another_form_of_a_signature_is_none() -> None:
    made = signed(P256)
    r, s = utils.decode_dss_signature(made.signatures[0].sig)
    key = pair(P256)[0]
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for sig in (raw, made.signatures[0].sig + b"\0", b"\x30\x00", b"x" * 72):
        changed = replace(made, signatures=(replace(made.signatures[0], sig=sig),))
        assert dsse.problems(changed, [key])
    assert key.settled(raw) == made.signatures[0].sig


def test_a_signer_gives_something_else() -> None:
    class Wrong:
        def sign(self, data: bytes, algorithm: object) -> bytes:  # noqa: ARG002 - as keys are asked
            return b"x" * 64

    with pytest.raises(Misuse, match="something else"):
        dsse.sign(b"x", payload_type=IN_TOTO, keys=[(pair(ED)[0], Wrong())])
    with pytest.raises(Misuse, match="something else"):
        dsse.sign(b"x", payload_type=IN_TOTO, keys=[(pair(P256)[0], pair(P384)[1])])
    with pytest.raises(Misuse, match="another kind"):
        dsse.sign(b"x", payload_type=IN_TOTO, keys=[(pair(ED)[0], pair(P384)[1])])
    with pytest.raises(Misuse, match="each once"):
        signed(ED, ED)
    with pytest.raises(Misuse, match="each once"):
        signed()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signatures": []}, "1 to 64"),
        ({"signatures": [{"keyid": "", "sig": "AA=="}] * 65}, "1 to 64"),
        ({"signatures": [{"sig": "AA=="}]}, "other members"),
        ({"signatures": [{"keyid": "", "sig": "AA==", "cert": ""}]}, "other members"),
        ({"signatures": [{"keyid": 1, "sig": "AA=="}]}, "no keyid"),
        ({"signatures": [{"keyid": "", "sig": ""}]}, "base64"),
        ({"signatures": [{"keyid": "", "sig": "A A="}]}, "base64"),
        ({"payload": None}, "base64"),
        ({"payload": "AB=="}, "not in the form"),
        ({"payloadType": ""}, "is no type"),
        ({"payloadType": 1}, "is no type"),
        ({"more": 1}, "other members"),
    ],
)
def test_what_is_no_envelope(change: dict[str, Any], words: str) -> None:
    value = stdlib.loads(signed(ED).to_json())
    with pytest.raises(Malformed, match=words):
        dsse.read(json.canonical(value | change))
    for data in (b"", b"[]", signed(ED).to_json() + b"\n", b" " + signed(ED).to_json()):
        with pytest.raises(Malformed):
            dsse.read(data)


@pytest.mark.parametrize("key", [ED, P256])
def test_no_bit_of_an_envelope_can_be_turned(key: Any) -> None:
    data = signed(key, payload=json.canonical({"subject": "x"})).to_json()
    trusted = [pair(key)[0]]
    for place in range(len(data) * 8):
        bad = bytearray(data)
        bad[place // 8] ^= 1 << place % 8
        try:
            envelope = dsse.read(bytes(bad))
        except Malformed:
            continue
        assert dsse.problems(envelope, trusted), place
    for size in range(len(data)):
        with pytest.raises(Malformed):
            dsse.read(data[:size])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_or_malformed(data: bytes) -> None:
    for text in (data, b'{"payload":"' + base64.b64encode(data) + b'"}'):
        with pytest.raises(Malformed):
            dsse.read(text)


def test_keys_of_other_kinds_are_refused() -> None:
    big = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for other in (big, ec.generate_private_key(ec.SECP521R1())):
        with pytest.raises(Misuse, match="not used here"):
            public.of(other.public_key())
    with pytest.raises(Misuse, match="neither"):
        from_pem(private_pem(big), edwards=True)
    with pytest.raises(Misuse, match="not on an elliptic curve"):
        from_pem(private_pem(ED))
    with pytest.raises(Misuse, match="private key"):
        public.from_pem(private_pem(ED))
    for pem in (b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(Malformed, match="no public key"):
            public.from_pem(pem)
