"""ACI's encryption of fields: published associated data, both suites, and ciphertexts that were moved."""

import copy
import json
from dataclasses import replace
from typing import Any

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from tests.channel.aci_made import NONCE, SERVICE

from troth.channel import e2ee
from troth.channel.e2ee import Context
from troth.channel.keyset import SECP256K1, X25519
from troth.errors import Malformed, Misuse

CONTEXT = Context(algo=X25519, model="demo-model", nonce=NONCE, ts=1750000000)
SUITES = (X25519, SECP256K1)
BODY: dict[str, Any] = {
    "model": "demo-model",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "ä?"}, {"type": "x", "y": [1]}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": ""},
    ],
    "temperature": 0.7,
}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-123",
    "choices": [
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": "hello",
                "reasoning": "because",
                "reasoning_content": None,
                "audio": {"data": "AAAA"},
            },
        }
    ],
}


def test_the_published_associated_data() -> None:
    assert CONTEXT.request_aad("messages.0.content") == (
        b'{"algo":"x25519-aes-256-gcm-hkdf-sha256","field":"messages.0.content",'
        b'"model":"demo-model",'
        b'"nonce":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
        b'"purpose":"aci.e2ee.request.v2","ts":1750000000}'
    )
    assert CONTEXT.answer_aad("choices.0.message.content", "chatcmpl-123") == (
        b'{"algo":"x25519-aes-256-gcm-hkdf-sha256","field":"choices.0.message.content",'
        b'"id":"chatcmpl-123","model":"demo-model",'
        b'"nonce":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
        b'"purpose":"aci.e2ee.response.v2","ts":1750000000}'
    )


def test_the_published_service_key() -> None:
    expected = "5dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22"
    assert e2ee.public(SERVICE).hex() == expected
    assert e2ee.read_public("0x" + expected, X25519) == e2ee.public(SERVICE)


def test_fields_that_another_implementation_made_of_the_published_inputs() -> None:
    """Ephemeral seeds 32 × 01 and 32 × 04, client seed 32 × 02, nonces 00…0b and 10…1b."""
    request = (
        "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209000102030405060708090a0b"
        "1475356879c63e49d8cdfa05d46b5f70aedf5b3fb8d21bdf1c49d6"
    )
    aad = CONTEXT.request_aad("messages.0.content")
    assert e2ee.unseal(request, key=SERVICE, algo=X25519, aad=aad) == b"hello, e2ee"
    answer = (
        "ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf10b101112131415161718191a1b"
        "c5de70d4e594670e9e13eb97638f159d1ccd383fc9dea1253f42932b28b86f55f684cb19da6c2736381d01bd"
        "8c49405e05"
    )
    client = X25519PrivateKey.from_private_bytes(b"\x02" * 32)
    aad = CONTEXT.answer_aad("choices.0.message.content", "chatcmpl-123")
    plain = b'{"answer":"42","evidence":"none"}'
    assert e2ee.unseal(answer, key=client, algo=X25519, aad=aad) == plain


def test_secp256k1_against_libsecp256k1() -> None:
    """The shared secret is the bare x-coordinate of the shared point."""
    theirs = coincurve.PrivateKey(b"\x05" * 32)
    point = theirs.public_key.format(compressed=False)
    sealed = bytes.fromhex(e2ee.seal(b"plain", to=point, algo=SECP256K1, aad=b"aad"))
    shared = coincurve.PublicKey(sealed[:65]).multiply(theirs.secret).format()[1:]
    kdf = HKDF(SHA256(), 32, salt=None, info=b"aci.e2ee.v2.secp256k1")
    cipher = AESGCM(kdf.derive(shared))
    assert cipher.decrypt(sealed[65:77], sealed[77:], b"aad") == b"plain"


@pytest.mark.parametrize("algo", SUITES)
def test_a_field_is_laid_out_as_the_protocol_has_it(algo: str) -> None:
    key = e2ee.new_key(algo)
    sealed = e2ee.seal(b"plain", to=e2ee.public(key), algo=algo, aad=b"aad")
    ephemeral = {X25519: 32, SECP256K1: 65}[algo]
    assert len(bytes.fromhex(sealed)) == ephemeral + 12 + len(b"plain") + 16
    assert sealed == sealed.lower()
    assert e2ee.unseal(sealed, key=key, algo=algo, aad=b"aad") == b"plain"


@given(st.binary(max_size=200))
def test_two_sealings_of_one_text_share_nothing(plain: bytes) -> None:
    to = e2ee.public(SERVICE)
    one, two = (bytes.fromhex(e2ee.seal(plain, to=to, algo=X25519, aad=b"")) for _ in "ab")
    assert one[:32] != two[:32]
    assert one[32:44] != two[32:44]


@pytest.mark.parametrize("algo", SUITES)
def test_no_bit_of_a_field_can_be_changed(algo: str) -> None:
    key = e2ee.new_key(algo)
    data = bytes.fromhex(e2ee.seal(b"secret", to=e2ee.public(key), algo=algo, aad=b"aad"))
    for place in range(len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << (place % 8)
        # RFC 7748, section 5: the top bit of a coordinate on X25519 is masked by both sides.
        if algo == X25519 and place == 31 * 8 + 7:
            continue
        with pytest.raises(Malformed):
            e2ee.unseal(changed.hex(), key=key, algo=algo, aad=b"aad")
    for size in range(len(data)):
        with pytest.raises(Malformed):
            e2ee.unseal(data[:size].hex(), key=key, algo=algo, aad=b"aad")


@pytest.mark.parametrize("algo", SUITES)
def test_a_request_goes_there_and_its_answer_comes_back(algo: str) -> None:
    service, client = e2ee.new_key(algo), e2ee.new_key(algo)
    context = replace(CONTEXT, algo=algo)
    before = copy.deepcopy(BODY)
    sealed, restored = e2ee.seal_request(BODY, to=e2ee.public(service), context=context)
    assert before == BODY
    wire = e2ee.compact(sealed)
    assert "ä?".encode() not in wire
    assert b"be brief" not in wire
    opened = json.loads(wire)
    e2ee.open_request(opened, key=service, context=context)
    assert opened == BODY
    assert e2ee.compact(opened) == restored

    answer = copy.deepcopy(ANSWER)
    e2ee.seal_answer(answer, to=e2ee.public(client), context=context)
    for said in (b"hello", b"because", b"AAAA"):
        assert said not in e2ee.compact(answer)
    e2ee.open_answer(answer, key=client, context=context)
    assert answer == ANSWER


def test_a_text_that_looks_like_an_array_stays_a_text() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": ' [{"type":"x"}]'}]}
    sealed, restored = e2ee.seal_request(body, to=e2ee.public(SERVICE), context=CONTEXT)
    e2ee.open_request(sealed, key=SERVICE, context=CONTEXT)
    part = {"type": "text", "text": ' [{"type":"x"}]'}
    assert sealed["messages"][0]["content"] == [part]
    assert e2ee.compact(sealed) == restored


def test_prompts_inputs_and_embeddings() -> None:
    body: dict[str, Any] = {"model": "m", "input": ["a", [1, 2], "[3]"], "prompt": "[1]"}
    sealed, restored = e2ee.seal_request(body, to=e2ee.public(SERVICE), context=CONTEXT)
    assert sealed["input"][1] == [1, 2]
    assert sealed["input"][0] != "a"
    assert sealed["input"][2] != "[3]"
    assert sealed["prompt"] != "[1]"
    e2ee.open_request(sealed, key=SERVICE, context=CONTEXT)
    assert sealed == body
    assert restored == e2ee.compact(body)
    client = e2ee.new_key(X25519)
    answer = {"data": [{"index": 3, "embedding": [0.5, -1.25]}]}
    e2ee.seal_answer(answer, to=e2ee.public(client), context=CONTEXT)
    assert isinstance(answer["data"][0]["embedding"], str)
    e2ee.open_answer(answer, key=client, context=CONTEXT)
    assert answer == {"data": [{"index": 3, "embedding": [0.5, -1.25]}]}
    packed = {"data": [{"embedding": "AAAAPw=="}]}
    e2ee.seal_answer(packed, to=e2ee.public(client), context=CONTEXT)
    e2ee.open_answer(packed, key=client, context=CONTEXT)
    assert packed == {"data": [{"embedding": "AAAAPw=="}]}


def test_every_place_of_an_answer_is_encrypted() -> None:
    client = e2ee.new_key(X25519)
    for choice in (
        {"text": "secret"},
        {"message": {"content": "secret"}},
        {"delta": {"content": "secret"}},
        {"delta": {"reasoning": "secret"}},
        {"message": {"reasoning_content": "secret"}},
        {"message": {"audio": {"data": "secret"}}},
    ):
        answer: dict[str, Any] = {"choices": [copy.deepcopy(choice)]}
        e2ee.seal_answer(answer, to=e2ee.public(client), context=CONTEXT)
        assert b"secret" not in e2ee.compact(answer)
        e2ee.open_answer(answer, key=client, context=CONTEXT)
        assert answer == {"choices": [choice]}


def test_what_is_no_text_is_refused() -> None:
    aad = CONTEXT.request_aad("prompt")
    field = e2ee.seal(b"\xff", to=e2ee.public(SERVICE), algo=X25519, aad=aad)
    with pytest.raises(Malformed):
        e2ee.open_request({"prompt": field}, key=SERVICE, context=CONTEXT)
    client = e2ee.new_key(X25519)
    aad = CONTEXT.answer_aad("choices.0.text", "")
    field = e2ee.seal(b"\xff", to=e2ee.public(client), algo=X25519, aad=aad)
    with pytest.raises(Malformed):
        e2ee.open_answer({"choices": [{"text": field}]}, key=client, context=CONTEXT)
    aad = CONTEXT.answer_aad("data.0.embedding", "")
    field = e2ee.seal(b"[", to=e2ee.public(client), algo=X25519, aad=aad)
    with pytest.raises(Malformed):
        e2ee.open_answer({"data": [{"embedding": field}]}, key=client, context=CONTEXT)


def _sealed() -> tuple[dict[str, Any], e2ee.Private]:
    client = e2ee.new_key(X25519)
    answer = copy.deepcopy(ANSWER)
    e2ee.seal_answer(answer, to=e2ee.public(client), context=CONTEXT)
    return answer, client


@pytest.mark.parametrize(
    "context",
    [
        replace(CONTEXT, model="small-model"),
        replace(CONTEXT, nonce=bytes(32)),
        replace(CONTEXT, ts=CONTEXT.ts + 1),
    ],
)
def test_an_answer_to_another_request(context: Context) -> None:
    answer, client = _sealed()
    with pytest.raises(Malformed):
        e2ee.open_answer(answer, key=client, context=context)


def test_fields_that_were_moved() -> None:
    answer, client = _sealed()
    message = answer["choices"][0]["message"]
    message["content"], message["reasoning"] = message["reasoning"], message["content"]
    with pytest.raises(Malformed):
        e2ee.open_answer(answer, key=client, context=CONTEXT)
    answer, client = _sealed()
    answer["choices"][0]["index"] = 0
    with pytest.raises(Malformed):
        e2ee.open_answer(answer, key=client, context=CONTEXT)
    answer, client = _sealed()
    answer["id"] = "chatcmpl-124"
    with pytest.raises(Malformed):
        e2ee.open_answer(answer, key=client, context=CONTEXT)


def test_content_in_the_clear_is_refused() -> None:
    for content in ("hello", "", "ab" * 60, {"a": 1}, 7):
        with pytest.raises(Malformed):
            e2ee.open_answer(
                {"choices": [{"message": {"content": content}}]}, key=SERVICE, context=CONTEXT
            )
    for text in ("hello", " "):
        with pytest.raises(Malformed):
            e2ee.open_answer(
                {"choices": [{"delta": {"content": text}}]}, key=SERVICE, context=CONTEXT
            )


def test_keys_that_are_none() -> None:
    for text in ("", "00", "zz", "ab" * 33):
        with pytest.raises(Malformed):
            e2ee.read_public(text, X25519)
    for point in (b"\x04" + bytes(64), b"\x02" * 65):
        with pytest.raises(Malformed):
            e2ee.seal(b"", to=point, algo=SECP256K1, aad=b"")
    with pytest.raises(Malformed):  # a point of small order agrees on nothing
        e2ee.seal(b"", to=bytes(32), algo=X25519, aad=b"")
    point = e2ee.public(e2ee.new_key(SECP256K1))
    assert e2ee.read_public(point[1:].hex(), SECP256K1) == point
    for call in (e2ee.new_key, lambda algo: e2ee.read_public("00", algo)):
        with pytest.raises(Misuse):
            call("rot13")


@pytest.mark.parametrize("number", [1e-5, 1e16, -1e-7, float("nan"), float("inf")])
def test_fractions_that_services_write_differently(number: float) -> None:
    body = {"model": "m", "prompt": "x", "more": [{"temperature": number}]}
    with pytest.raises(Misuse):
        e2ee.seal_request(body, to=e2ee.public(SERVICE), context=CONTEXT)
    body["more"] = [0.0001, 0.7, 1.0, -2.5, 9999999999999998.0]
    e2ee.seal_request(body, to=e2ee.public(SERVICE), context=CONTEXT)


def test_a_request_without_content() -> None:
    with pytest.raises(Misuse):
        e2ee.seal_request({"model": "m"}, to=e2ee.public(SERVICE), context=CONTEXT)
    with pytest.raises(Malformed):
        e2ee.open_request({"model": "m"}, key=SERVICE, context=CONTEXT)
