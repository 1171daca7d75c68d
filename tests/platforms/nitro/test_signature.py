"""Would a host start it? Each reason why not, by itself and together."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.signer import CURVES, DAY, NOW, identity, image, signature

from troth.errors import Malformed, Misuse
from troth.platforms.nitro.measure import measure
from troth.platforms.nitro.signature import problems, signer
from troth.wire import cbor, eif_signature

IMAGE = image()
PCR0 = measure(IMAGE).pcr0
BY = identity()
SIGNED = signature(IMAGE, BY)


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_decides_the_algorithm(name: str) -> None:
    by = identity(ec.generate_private_key(CURVES[name]))
    read = eif_signature.read(signature(IMAGE, by))
    assert signer(by.der).algorithm.name == name == eif_signature.ALGORITHMS[read.sign1.alg][0]
    assert problems(read, pcr0=PCR0, at=NOW) == ()


def test_both_ends_of_its_validity_belong_to_it() -> None:
    by = identity()
    read = eif_signature.read(signature(IMAGE, by))
    for at in (NOW - DAY, NOW + DAY):
        assert problems(read, pcr0=PCR0, at=at) == ()
    (early,) = problems(read, pcr0=PCR0, at=NOW - 2 * DAY)
    assert early.words == "the signing certificate is not valid before 2026-11-25 12:00:00Z"
    assert "clock" in early.fix
    (late,) = problems(read, pcr0=PCR0, at=NOW + 2 * DAY)
    assert late.words == "the signing certificate has expired: it ended at 2026-11-27 12:00:00Z"
    assert "sign again" in late.fix


def test_over_another_image() -> None:
    read = eif_signature.read(signature(image(b"other"), identity()))
    (found,) = problems(read, pcr0=PCR0, at=NOW)
    assert "over another image" in found.words
    assert PCR0.hex() in found.words
    assert "troth release sign" in found.fix


def test_a_certificate_that_is_not_the_signers() -> None:
    mine, other = identity(), identity()
    swapped = eif_signature.write(other.pem, _sign1(signature(IMAGE, mine)))
    (found,) = problems(eif_signature.read(swapped), pcr0=PCR0, at=NOW)
    assert "not made with the key of the certificate" in found.words


def test_a_curve_that_is_not_the_algorithms() -> None:
    mine, other = identity(), identity(ec.generate_private_key(ec.SECP256R1()))
    swapped = eif_signature.write(other.pem, _sign1(signature(IMAGE, mine)))
    (found,) = problems(eif_signature.read(swapped), pcr0=PCR0, at=NOW)
    assert "-35" in found.words
    assert "P-256" in found.words


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (rsa.generate_private_key(65537, 2048), "an RSA key"),
        (ec.generate_private_key(ec.SECP256K1()), "a key on another curve"),
        (ed25519.Ed25519PrivateKey.generate(), "a key on another curve"),
    ],
)
def test_keys_that_nitro_does_not_take(key: object, words: str) -> None:
    issuer = ec.generate_private_key(ec.SECP384R1())
    other = identity(issuer, of=key.public_key())  # type: ignore[attr-defined]
    with pytest.raises(Misuse, match=words) as caught:
        signer(other.der)
    assert "openssl req -x509" in caught.value.fix
    swapped = eif_signature.write(other.pem, _sign1(signature(IMAGE, identity())))
    (found,) = problems(eif_signature.read(swapped), pcr0=PCR0, at=NOW)
    assert words in found.words
    assert found.fix == caught.value.fix


def test_der_that_is_no_certificate() -> None:
    with pytest.raises(Malformed, match=r"no X\.509 certificate"):
        signer(b"\x30\x00")


def test_all_that_is_wrong_is_said() -> None:
    mine, other = identity(), identity()
    swapped = eif_signature.write(other.pem, _sign1(signature(image(b"other"), mine)))
    found = problems(eif_signature.read(swapped), pcr0=PCR0, at=NOW + 2 * DAY)
    assert len(found) == 3


@given(st.integers(0, 96 * 8 - 1))
def test_every_bit_of_the_signature_counts(bit: int) -> None:
    read = eif_signature.read(SIGNED)
    raw = bytearray(read.sign1.signature)
    raw[bit // 8] ^= 1 << (bit % 8)
    at = SIGNED.rindex(cbor_ints(read.sign1.signature))
    changed = SIGNED[:at] + cbor_ints(bytes(raw))
    try:
        found = eif_signature.read(changed)
    except Malformed:
        return  # a small integer has one byte, a larger one two
    assert problems(found, pcr0=PCR0, at=NOW)


def cbor_ints(data: bytes) -> bytes:
    """Bytes as the format writes them."""
    return b"".join(bytes([n]) if n < 24 else bytes([24, n]) for n in data)


def _sign1(section: bytes) -> bytes:
    return bytes(cbor.decode(section, field="")[0]["signature"])


def test_what_is_signed_written_out() -> None:
    """RFC 9052, 4.4, written out: the context, the header, no external data, the payload."""
    read = eif_signature.read(SIGNED)
    payload = b"\xa2\x6eregister_index\x00\x6eregister_value\x98\x30" + cbor_ints(PCR0)
    signed = b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40\x58" + bytes([len(payload)]) + payload
    assert signer(BY.der).to_be_signed(PCR0) == signed
    raw = read.sign1.signature
    r, s = int.from_bytes(raw[:48]), int.from_bytes(raw[48:])
    BY.private.public_key().verify(
        utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA384())
    )
