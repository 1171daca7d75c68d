"""The older encryption of fields: both kinds there and back, and its weakness."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from troth.channel import e2ee
from troth.channel import e2ee_older as older
from troth.channel.services import phala
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate.phala import Phala
from troth.channel.web import Web
from troth.errors import Malformed, Unavailable

KINDS = ("ecdsa", "ed25519")


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_goes_there_and_back(kind: str) -> None:
    key = older.new_key(kind)
    sealed = older.seal(b"plain", to=older.public(key))
    head = {"ecdsa": 65 + 12, "ed25519": 32 + 24}[kind]
    assert len(bytes.fromhex(sealed)) == head + len(b"plain") + 16
    assert older.unseal(sealed, key=key) == b"plain"
    assert older.seal(b"plain", to=older.public(key)) != sealed


@pytest.mark.parametrize("kind", KINDS)
def test_no_bit_of_a_field_can_be_changed(kind: str) -> None:
    key = older.new_key(kind)
    data = bytes.fromhex(older.seal(b"secret", to=older.public(key)))
    for place in range(len(data) * 8):
        if kind == "ed25519" and place == 31 * 8 + 7:  # masked by X25519
            continue
        changed = bytearray(data)
        changed[place // 8] ^= 1 << (place % 8)
        with pytest.raises(Malformed):
            older.unseal(changed.hex(), key=key)
    for size in range(len(data)):
        with pytest.raises(Malformed):
            older.unseal(data[:size].hex(), key=key)
    with pytest.raises(Malformed):
        older.unseal(data.hex(), key=older.new_key(kind))
    with pytest.raises(Malformed):
        older.unseal(None, key=key)


def test_a_field_that_was_moved_is_not_noticed() -> None:
    """The weakness that `NOT_BOUND` names: no associated data."""
    key = older.new_key("ecdsa")
    first = older.seal(b"first", to=older.public(key))
    message = {"content": "", "reasoning": first}
    assert older.unseal(message["reasoning"], key=key) == b"first"
    assert any("move" in sentence for sentence in older.NOT_BOUND)


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_goes_to_a_server_and_its_answer_comes_back(kind: str) -> None:
    with Phala(guest=Guest.create(datetime.now(UTC))) as service:
        with Web(service.url, seconds=20) as web:
            found = phala.ask(web, bytes(32))
        assert found is not None
        to = {"ecdsa": found.keys["e2ee"], "ed25519": service.address("ed25519")}[kind]
        mine = older.new_key(kind)
        said = older.headers(kind, client=older.public(mine), service=to)
        body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "secret"}]}
        older.seal_fields(e2ee.request_fields(body), to=to)
        with Web(service.url, seconds=20) as web:
            wire = json.dumps(body).encode()
            answer = web.request("POST", "/v1/chat/completions", body=wire, headers=said)
        assert not any(b"secret" in prompt for prompt in service.prompts)
    value = json.loads(answer.body)
    assert b"secret" not in answer.body
    older.open_fields(e2ee.answer_fields(value), key=mine)
    assert value["choices"][0]["message"]["content"] == "You said: secret"
    with pytest.raises(Malformed):
        older.open_fields(e2ee.answer_fields(value), key=mine)


def test_keys_that_are_none() -> None:
    for key in (b"\x04" + bytes(64), b"\xff" * 32, bytes(32), b"short"):
        with pytest.raises(Malformed):
            older.seal(b"", to=key)


def test_what_a_request_says() -> None:
    said = older.headers("ecdsa", client=b"\1", service=b"\2")
    assert said["X-Client-Pub-Key"] == "01"
    assert said["X-Model-Pub-Key"] == "02"
    assert said["X-Encryption-Version"] == "2"


def test_a_library_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    key = older.new_key("ed25519")
    monkeypatch.setattr(older, "import_module", absent)
    with pytest.raises(Unavailable):
        older.seal(b"", to=older.public(key))
