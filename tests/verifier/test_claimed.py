"""Keys as people write them, and chains as dstack's agent gives them."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from troth.crypto import ethereum
from troth.errors import Malformed, Misuse, TrothError
from troth.verifier import claimed

# The first three of EIP-55's own examples.
CHECKSUMMED = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
)
KEY = ec.derive_private_key(7, ec.SECP256K1()).public_key()
LONG = KEY.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
SHORT = KEY.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
SPKI = KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PEM = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
FORMS = (LONG, LONG[1:], SHORT, SPKI)


@pytest.mark.parametrize("text", CHECKSUMMED)
def test_addresses_with_their_checksum(text: str) -> None:
    found = claimed.read(text)
    assert found.address.hex() == text[2:].lower()
    assert claimed.read(text.lower()).address == claimed.read(text[2:].upper()).address
    wrong = (
        text[:-1] + text[-1].swapcase() if text[-1].isalpha() else text[:3] + text[3:].swapcase()
    )
    if wrong[2:] not in (wrong[2:].lower(), wrong[2:].upper()):
        with pytest.raises(Misuse, match="checksum"):
            claimed.read(wrong)


@pytest.mark.parametrize("text", [*(form.hex() for form in FORMS), "0x" + SHORT.hex(), PEM])
def test_one_key_in_all_its_forms(text: str) -> None:
    found = claimed.read(text)
    assert found.point == LONG and found.address == ethereum.address(LONG)
    assert all(found.is_key(form) for form in (*FORMS, found.address))
    other = ec.derive_private_key(8, ec.SECP256K1()).public_key()
    for form in (
        (Encoding.X962, PublicFormat.CompressedPoint),
        (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        assert not found.is_key(other.public_bytes(*form))
    for wrong in (b"", bytes(20), bytes(32), bytes(33), bytes(64), bytes(65), b"\x30"):
        assert not found.is_key(wrong)


def test_an_address_is_its_keys() -> None:
    found = claimed.read("0x" + ethereum.address(LONG).hex())
    assert all(found.is_key(form) for form in FORMS) and not found.point


@pytest.mark.parametrize("make", [ed25519.Ed25519PrivateKey, x25519.X25519PrivateKey])
def test_raw_keys(make: type) -> None:
    key = make.generate().public_key()  # type: ignore[attr-defined]
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for text in (raw.hex(), spki.hex()):
        found = claimed.read(text)
        assert found.is_key(raw) and found.is_key(spki)
        assert not found.is_key(bytes(32)) and not found.is_key(LONG)


def test_keys_on_other_curves_have_one_form() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = claimed.read(spki.hex())
    assert found.is_key(spki) and not found.address and not found.is_key(LONG)
    assert not found.is_key(key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "hello",
        "0x00",
        "00" * 33,
        "02" + "ff" * 32,
        "00" * 64,
        "00" * 5000,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\né\n-----END PUBLIC KEY-----",
        PEM + PEM,
    ],
)
def test_texts_that_are_no_key(text: str) -> None:
    with pytest.raises(Misuse):
        claimed.read(text)


def test_the_longest_text() -> None:
    for size, words in ((4096, "no key that troth reads"), (4097, "longer than any")):
        with pytest.raises(Misuse, match=words):
            claimed.read("0" * size)


@given(st.text(max_size=140))
def test_any_text(text: str) -> None:
    try:
        claimed.read(text)
    except TrothError:
        pass


def chain(**changed: object) -> bytes:
    made = {
        "purpose": "wallet",
        "public_key": SHORT.hex(),
        "signature_chain": ["11" * 65, "22" * 65],
    }
    return json.dumps({k: v for k, v in (made | changed).items() if v is not ...}).encode()


def test_chains() -> None:
    found = claimed.read_chain(chain())
    assert found.signatures == (b"\x11" * 65, b"\x22" * 65) and found.purpose == "wallet"
    three = claimed.read_chain(chain(signature_chain=["00", "11" * 65, "22" * 65], purpose=...))
    assert three.signatures == found.signatures and three.purpose == "signing"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        chain(public_key=...),
        chain(public_key=1),
        chain(public_key="zz"),
        chain(signature_chain=...),
        chain(signature_chain=["11" * 65]),
        chain(signature_chain=["11"] * 4),
        chain(signature_chain=[1, 2]),
        chain(purpose=1),
        b'{"public_key":"","public_key":"","signature_chain":[]}',
    ],
)
def test_chains_of_another_form(data: bytes) -> None:
    with pytest.raises(Malformed):
        claimed.read_chain(data)


def test_a_secret_in_the_file_is_refused() -> None:
    with pytest.raises(Misuse, match="secret key itself"):
        claimed.read_chain(chain(key="00" * 32))
