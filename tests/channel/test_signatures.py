"""The older form of signed answers: both kinds of key, and signatures for something else."""

import hashlib
import json
from typing import Any

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from troth.channel import signatures
from troth.crypto import ethereum
from troth.errors import Malformed, Unavailable
from troth.model.report import Verdict, decide

REQUEST = b'{"model":"m","messages":[]}'
RESPONSE = b"data: {}\n\ndata: [DONE]\n\n"
ECDSA = coincurve.PrivateKey(b"\x07" * 32)
ADDRESS = ethereum.address(ECDSA.public_key.format(compressed=False))
ED25519 = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
RAW = ED25519.public_key().public_bytes_raw()


def _signed(text: str, algorithm: str = "ecdsa", /, **changes: Any) -> bytes:
    if algorithm == "ecdsa":
        digest = ethereum.personal_digest(text.encode())
        raw = ECDSA.sign_recoverable(digest, hasher=None)
        signature, address = (raw[:64] + bytes([raw[64] + 27])).hex(), "0x" + ADDRESS.hex()
    else:
        signature, address = ED25519.sign(text.encode()).hex(), RAW.hex()
    value = {
        "text": text,
        "signature": signature,
        "signing_address": address,
        "signing_algo": algorithm,
    }
    return json.dumps(value | changes).encode()


def judge(data: bytes, address: bytes = ADDRESS, model: str = "m") -> Verdict:
    found = signatures.checks(
        signatures.read(data),
        address=address,
        request=hashlib.sha256(REQUEST).hexdigest(),
        response=hashlib.sha256(RESPONSE).hexdigest(),
        model=model,
    )
    return decide(found, signatures.REQUIRED)


@pytest.mark.parametrize("model", ["", "m"])
def test_both_kinds_of_key_are_accepted(model: str) -> None:
    text = signatures.text(REQUEST, RESPONSE, model=model)
    assert text.endswith(
        f"{hashlib.sha256(REQUEST).hexdigest()}:{hashlib.sha256(RESPONSE).hexdigest()}"
    )
    assert judge(_signed(text)) is Verdict.ACCEPTED
    assert judge(_signed(text, "ed25519"), RAW) is Verdict.ACCEPTED


def test_a_models_name_may_hold_a_colon() -> None:
    text = signatures.text(REQUEST, RESPONSE, model="vendor:m:7b")
    assert judge(_signed(text), model="vendor:m:7b") is Verdict.ACCEPTED
    assert judge(_signed(text), model="vendor:m") is Verdict.REJECTED


def test_receipt_for_another_body() -> None:
    for text in (signatures.text(b"x", RESPONSE), signatures.text(REQUEST, RESPONSE[:-2])):
        assert judge(_signed(text)) is Verdict.REJECTED


def test_the_older_form_says_nothing_of_the_model() -> None:
    """Its weakness: shown, because nothing can be compared."""
    data = _signed(signatures.text(REQUEST, RESPONSE))
    assert judge(data, model="another") is Verdict.ACCEPTED
    assert signatures.read(data).model == ""
    assert any("no model" in sentence for sentence in signatures.NOT_BOUND)


def test_key_swapped() -> None:
    text = signatures.text(REQUEST, RESPONSE)
    assert judge(_signed(text), b"\x01" * 20) is Verdict.REJECTED
    assert judge(_signed(text, signing_address="0x" + "01" * 20), b"\x01" * 20) is Verdict.REJECTED
    assert judge(_signed(text, "ed25519"), bytes(32)) is Verdict.REJECTED
    other = ED25519.public_key().public_bytes_raw()[::-1]
    swapped = _signed(text, "ed25519", signing_address=other.hex())
    assert judge(swapped, other) is Verdict.REJECTED


@pytest.mark.parametrize("algorithm", ["ecdsa", "ed25519"])
def test_no_bit_of_text_or_signature_can_be_changed(algorithm: str) -> None:
    text = signatures.text(REQUEST, RESPONSE, model="m")
    value = json.loads(_signed(text, algorithm))
    address = ADDRESS if algorithm == "ecdsa" else RAW
    for name in ("signature", "signing_address"):
        data = bytes.fromhex(value[name].removeprefix("0x"))
        for place in range(len(data) * 8):
            changed = bytearray(data)
            changed[place // 8] ^= 1 << (place % 8)
            held = json.dumps(value | {name: changed.hex()}).encode()
            assert judge(held, address) is Verdict.REJECTED, (name, place)
    for place in range(len(text)):
        letter = "0" if text[place] != "0" else "1"
        held = json.dumps(value | {"text": text[:place] + letter + text[place + 1 :]}).encode()
        try:
            assert judge(held, address) is Verdict.REJECTED, place
        except Malformed:
            pass


def test_a_signature_has_one_encoding_of_s() -> None:
    text = signatures.text(REQUEST, RESPONSE)
    value = json.loads(_signed(text))
    raw = bytes.fromhex(value["signature"])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = order - int.from_bytes(raw[32:64], "big")
    twin = raw[:32] + high.to_bytes(32, "big") + bytes([55 - raw[64]])
    assert judge(json.dumps(value | {"signature": twin.hex()}).encode()) is Verdict.REJECTED


@pytest.mark.parametrize(
    "change",
    [
        {"text": "a"},
        {"text": 1},
        {"text": "ab:" + "cd" * 32},
        {"text": "0x" + "a" * 62 + ":" + "cd" * 32},
        {"text": "AB" * 32 + ":" + "cd" * 32},
        {"text": "ab" * 32 + ":" + "CD" * 32},
        {"text": "ab" * 32 + ":" + "c" * 63},
        {"text": "x" * 1024 + ":" + "ab" * 32 + ":" + "cd" * 32},
        {"signature": ""},
        {"text": "é:" + "ab" * 32 + ":" + "cd" * 32},
        {"signing_algo": "rsa"},
        {"signing_address": "0x00"},
        {"signing_address": None},
        {"signature": "zz"},
    ],
)
def test_whatever_is_no_signature_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        signatures.read(_signed(signatures.text(REQUEST, RESPONSE), **change))
    with pytest.raises(Malformed):
        signatures.read(b"[]")


def test_a_library_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    data = _signed(signatures.text(REQUEST, RESPONSE))
    monkeypatch.setattr(ethereum, "import_module", absent)
    with pytest.raises(Unavailable) as caught:
        judge(data)
    assert "services" in caught.value.fix


def test_keccak_and_an_address_that_everybody_knows() -> None:
    assert ethereum.keccak256(b"").hex().startswith("c5d2460186f7233c")
    one = coincurve.PrivateKey((1).to_bytes(32, "big")).public_key.format(compressed=False)
    assert ethereum.address(one).hex() == "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
    assert ethereum.recover(bytes(32), bytes(65)) is None
    assert ethereum.recover(bytes(32), b"\x01" * 64 + b"\x04") is None
