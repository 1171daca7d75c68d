"""The older encryption of fields: both kinds there and back, and its weakness."""

from typing import Any

import pytest

from troth.channel import e2ee_older as older
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
