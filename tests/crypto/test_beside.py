"""Checks that go on beside Python: each answer is of the very bytes that were asked, and of nothing else."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.crypto.asking import spki, words

from troth.crypto import beside, keys, signature
from troth.crypto.beside import Asked

pytestmark = pytest.mark.native

SALT = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)


def raw(made: bytes, size: int) -> bytes:
    return b"".join(number.to_bytes(size, "big") for number in utils.decode_dss_signature(made))


@pytest.fixture(scope="module")
def asked() -> dict[str, Asked]:
    small, large = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    modulus = rsa.generate_private_key(65537, 4096)
    text = b"what is signed"
    by_small = small.sign(text, ec.ECDSA(hashes.SHA256()))
    by_large = large.sign(text, ec.ECDSA(hashes.SHA384()))
    by_modulus = modulus.sign(text, SALT, hashes.SHA384())
    return {
        "P-256": Asked(spki(small), keys.ECDSA_SHA256, by_small, text),
        "P-256, r and s": Asked(spki(small), keys.P256_RAW, raw(by_small, 32), text),
        "P-384": Asked(spki(large), keys.ECDSA_SHA384, by_large, text),
        "P-384, r and s": Asked(spki(large), keys.P384_RAW, raw(by_large, 48), text),
        "PSS": Asked(spki(modulus), keys.PSS_SHA384, by_modulus, text),
        "PSS, short": Asked(spki(modulus), keys.PSS_SHA384_SHORT, by_modulus, text),
    }


@pytest.fixture(autouse=True)
def nothing_begun() -> Iterator[None]:
    beside._begun.clear()
    yield
    beside._begun.clear()


def test_each_kind_is_answered_asked_early_or_not(asked: dict[str, Asked]) -> None:
    for one in asked.values():
        assert beside.verifies(one) is True
    beside.begin(asked.values())
    assert len(beside._begun) == len(asked)
    for one in asked.values():
        assert beside.verifies(one) is True
    assert not beside._begun


def test_workers_begin_nothing_and_are_answered(
    asked: dict[str, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    from troth.verifier import many

    monkeypatch.setattr(beside, "_stays", threading.Event())
    monkeypatch.setattr(many, "_job", [])
    many._begin(None)  # type: ignore[arg-type]
    beside.begin(asked.values())
    assert not beside._begun
    assert beside.verifies(asked["P-384"]) is True


def test_keys_of_another_form_are_left_to_openssl(asked: dict[str, Asked]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    made = key.sign(b"a", ec.ECDSA(hashes.SHA256()))
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    compressed = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    smaller = rsa.generate_private_key(65537, 3072)
    odd = rsa.generate_private_key(3, 4096)
    for one in (
        Asked(compressed, keys.ECDSA_SHA256, made, b"a"),
        Asked(spki(key) + b"\0", keys.ECDSA_SHA256, made, b"a"),
        Asked(spki(key)[:-1], keys.ECDSA_SHA256, made, b"a"),
        Asked(b"", keys.ECDSA_SHA256, made, b"a"),
        Asked(spki(key), keys.ECDSA_SHA384, made, b"a"),
        Asked(spki(key), keys.RSA_SHA256, made, b"a"),
        Asked(spki(key), b"\x30\0", made, b"a"),
        Asked(asked["PSS"].spki, keys.RSA_SHA384, asked["PSS"].signature, asked["PSS"].signed),
        Asked(spki(smaller), keys.PSS_SHA384, smaller.sign(b"a", SALT, hashes.SHA384()), b"a"),
        Asked(spki(odd), keys.PSS_SHA384, odd.sign(b"a", SALT, hashes.SHA384()), b"a"),
    ):
        beside.begin((one,))
        assert not beside._begun
        assert beside.verifies(one) is None
    assert words(Asked(compressed, keys.ECDSA_SHA256, made, b"a")) == ""
    assert words(Asked(spki(odd), keys.PSS_SHA384, b"", b"a")) == "its issuer has no RSA-4096 key"


@pytest.mark.parametrize("answer", [True, False, None])
def test_what_the_library_says_is_taken_or_doubted(
    answer: bool | None, asked: dict[str, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes counts; a no is refused whatever OpenSSL says, and said; without an answer OpenSSL's counts."""

    class Batch:
        def __init__(self, checks: Any, *, beside: bool) -> None: ...
        def answer(self, index: int) -> bool | None:
            del index
            return answer

    monkeypatch.setattr(beside, "native", lambda: Batch)
    for one in asked.values():
        bad = one._replace(signed=b"another")
        assert words(one) == ("" if answer is not False else signature._TWO_MINDS)
        assert (words(bad) == "") is (answer is True)
        assert answer or words(bad).endswith("signature does not verify")
