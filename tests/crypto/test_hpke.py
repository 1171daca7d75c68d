"""HPKE against the RFC's own vectors, against the library's single-message form, and under attack."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hpke as library
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from troth.crypto import hpke
from troth.errors import Malformed, Misuse

PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
# Keys of small order (RFC 7748 section 6.1): whatever the other secret, the shared one is zero.
SMALL_ORDER = (
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
)


@pytest.fixture(scope="module")
def vector(vectors: Path) -> dict[str, object]:
    rows = json.loads((vectors / "hpke/rfc9180-x25519-p256-hkdfsha256-base-psk.json").read_text())
    (mine,) = (
        row
        for row in rows
        if (row["mode"], row["kem_id"], row["kdf_id"], row["aead_id"])
        == (0, hpke.KEM_ID, hpke.KDF_ID, hpke.AEAD_ID)
    )
    return mine


def both(vector: dict) -> tuple[hpke.Sealer, hpke.Opener]:
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["skEm"]))
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["skRm"]))
    info = bytes.fromhex(vector["info"])
    sealer = hpke.Sealer(bytes.fromhex(vector["pkRm"]), info, ephemeral=ephemeral)
    return sealer, hpke.Opener(private, sealer.encapsulated, info)


def test_the_rfc_s_messages_are_sealed_and_opened(vector: dict) -> None:
    sealer, opener = both(vector)
    assert sealer.encapsulated.hex() == vector["enc"]
    assert len(vector["encryptions"]) > 2
    for row in vector["encryptions"]:
        plaintext, aad = bytes.fromhex(row["pt"]), bytes.fromhex(row["aad"])
        sealed = sealer.seal(plaintext, aad)
        assert sealed.hex() == row["ct"]
        assert opener.open(sealed, aad) == plaintext


def test_the_rfc_s_secrets_are_exported_by_both(vector: dict) -> None:
    for end in both(vector):
        for row in vector["exports"]:
            secret = end.export(bytes.fromhex(row["exporter_context"]), row["L"])
            assert secret.hex() == row["exported_value"]


@given(message=st.binary(max_size=200), info=st.binary(max_size=40))
def test_the_library_opens_what_we_seal_and_we_what_it_seals(message: bytes, info: bytes) -> None:
    suite = library.Suite(library.KEM.X25519, library.KDF.HKDF_SHA256, library.AEAD.AES_256_GCM)
    sealer = hpke.Sealer(PUBLIC, info)
    assert suite.decrypt(sealer.encapsulated + sealer.seal(message), PRIVATE, info) == message
    theirs = suite.encrypt(message, X25519PublicKey.from_public_bytes(PUBLIC), info)
    opener = hpke.Opener(PRIVATE, theirs[: hpke.ENCAPSULATED_SIZE], info)
    assert opener.open(theirs[hpke.ENCAPSULATED_SIZE :]) == message


def test_each_context_is_new() -> None:
    one, other = hpke.Sealer(PUBLIC, b""), hpke.Sealer(PUBLIC, b"")
    assert one.encapsulated != other.encapsulated
    assert one.seal(b"same") != other.seal(b"same")


def test_order_is_part_of_it() -> None:
    sealer = hpke.Sealer(PUBLIC, b"")
    first, second = sealer.seal(b"first"), sealer.seal(b"second")
    opener = hpke.Opener(PRIVATE, sealer.encapsulated, b"")
    with pytest.raises(Malformed):
        opener.open(second)
    assert first


@pytest.mark.parametrize("bit", range(8 * (4 + hpke.TAG_SIZE)))
def test_any_bit_of_a_message_counts(bit: int) -> None:
    sealer = hpke.Sealer(PUBLIC, b"")
    sealed = bytearray(sealer.seal(b"four"))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Malformed):
        hpke.Opener(PRIVATE, sealer.encapsulated, b"").open(bytes(sealed))


@pytest.mark.parametrize("size", [0, 1, hpke.TAG_SIZE - 1])
def test_shorter_than_a_tag(size: int) -> None:
    sealer = hpke.Sealer(PUBLIC, b"")
    with pytest.raises(Malformed):
        hpke.Opener(PRIVATE, sealer.encapsulated, b"").open(sealer.seal(b"")[:size])


@pytest.mark.parametrize("what", ["info", "aad", "key", "encapsulated"])
def test_what_both_must_agree_on(what: str) -> None:
    sealer = hpke.Sealer(PUBLIC, b"info")
    sealed = sealer.seal(b"message", b"aad")
    private = X25519PrivateKey.generate() if what == "key" else PRIVATE
    other = X25519PrivateKey.generate().public_key().public_bytes_raw()
    opener = hpke.Opener(
        private,
        other if what == "encapsulated" else sealer.encapsulated,
        b"other" if what == "info" else b"info",
    )
    with pytest.raises(Malformed):
        opener.open(sealed, b"other" if what == "aad" else b"aad")


@pytest.mark.parametrize("key", [*SMALL_ORDER, b"", bytes(31), bytes(33)])
def test_keys_that_no_secret_comes_of(key: bytes) -> None:
    with pytest.raises(Malformed):
        hpke.Sealer(key, b"")
    with pytest.raises(Malformed):
        hpke.Opener(PRIVATE, key, b"")


def test_a_counter_that_ran_out() -> None:
    assert hpke.nth_nonce(bytes(12), 2**64 - 1) == bytes(4) + b"\xff" * 8
    for index in (-1, 2**64):
        with pytest.raises(Misuse):
            hpke.nth_nonce(bytes(12), index)
