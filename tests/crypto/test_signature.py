"""Signature checks against published vectors, and the forms that must not pass."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.crypto.signature import ecdsa_p384_raw, ed25519_raw
from troth.errors import Misuse

# RFC 6979 appendix A.2.6: P-384, SHA-384, message «sample».
KEY = (
    ec.EllipticCurvePublicNumbers(
        x=0xEC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64DEF8F0EA9055866064A254515480BC13,
        y=0x8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1288B231C3AE0D4FE7344FD2533264720,
        curve=ec.SECP384R1(),
    )
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
R = bytes.fromhex(
    "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
)
S = bytes.fromhex(
    "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"
)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
# RFC 8032 section 7.1, test 1: the empty message.
ED_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
ED_SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)
ED_ORDER = 2**252 + 27742317777372353535851937790883648493


def test_ecdsa_of_the_standard() -> None:
    assert ecdsa_p384_raw(KEY, R + S, b"sample") == ""
    assert ecdsa_p384_raw(KEY, R + S, b"samplf") == "the signature does not verify"


@pytest.mark.parametrize("size", [0, 64, 95, 97, 132])
def test_ecdsa_of_another_length(size: int) -> None:
    assert "should be 96" in ecdsa_p384_raw(KEY, (R + S + bytes(40))[:size], b"sample")


@pytest.mark.parametrize("value", [0, ORDER, 2**384 - 1])
def test_ecdsa_outside_the_order(value: int) -> None:
    odd = value.to_bytes(48, "big")
    for signature in (odd + S, R + odd, odd + odd):
        assert ecdsa_p384_raw(KEY, signature, b"sample") == "the signature does not verify"


def test_ecdsa_on_another_curve() -> None:
    assert ecdsa_p384_raw(_new(ec.SECP256R1()), R + S, b"sample") == "the key is not on P-384"


@settings(max_examples=100)
@given(bit=st.integers(0, 96 * 8 - 1))
def test_ecdsa_every_bit_counts(bit: int) -> None:
    changed = bytearray(R + S)
    changed[bit // 8] ^= 1 << bit % 8
    assert ecdsa_p384_raw(KEY, bytes(changed), b"sample") == "the signature does not verify"


def test_ed25519_of_the_standard() -> None:
    assert ed25519_raw(ED_KEY, ED_SIGNATURE, b"") == ""
    assert ed25519_raw(ED_KEY, ED_SIGNATURE, b"\0") == "the signature does not verify"


def test_ed25519_has_one_form() -> None:
    s = int.from_bytes(ED_SIGNATURE[32:], "little") + ED_ORDER
    again = ED_SIGNATURE[:32] + s.to_bytes(32, "little")
    assert ed25519_raw(ED_KEY, again, b"") == "the signature does not verify"


@pytest.mark.parametrize("size", [0, 63, 65])
def test_ed25519_of_another_length(size: int) -> None:
    assert "should be 64" in ed25519_raw(ED_KEY, (ED_SIGNATURE + b"\0")[:size], b"")
    with pytest.raises(Misuse):
        ed25519_raw(bytes(size), ED_SIGNATURE, b"")


@given(key=st.binary(min_size=32, max_size=32))
def test_ed25519_any_key(key: bytes) -> None:
    assert (ed25519_raw(key, ED_SIGNATURE, b"") == "") == (key == ED_KEY)


def test_a_raw_signature_is_of_the_profile() -> None:
    key = _new(ec.SECP384R1())
    assert ecdsa_p384_raw(key, bytes(95), b"") == "the signature is 95 bytes, should be 96"
    assert ecdsa_p384_raw(key, bytes(96), b"") == "the signature does not verify"
    assert ecdsa_p384_raw(b"", bytes(96), b"") == "the key is not on P-384"


def _new(curve: ec.EllipticCurve) -> bytes:
    key = ec.generate_private_key(curve).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
