"""The signature section of an EIF: one shape, one encoding, and everything else refused by name."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.signer import identity, image, signature

from troth.errors import Malformed, Misuse
from troth.platforms.nitro.measure import measure
from troth.wire import cbor, eif_signature
from troth.wire.eif import MAX_SIGNATURE

IDENTITY = identity()
IMAGE = image()
GOOD = signature(IMAGE, IDENTITY)
PCR0 = measure(IMAGE).pcr0


def parts() -> dict[str, Any]:
    """What `section` is made of, as it should be."""
    read = eif_signature.read(GOOD).sign1
    return {
        "pem": list(IDENTITY.pem),
        "protected": {1: -35},
        "unprotected": {},
        "payload": {"register_index": 0, "register_value": list(PCR0)},
        "raw": read.signature,
    }


def section(**changes: Any) -> bytes:
    """A section, encoded by the library from nothing but the format's description."""
    p = parts() | changes
    encode = cbor.encode_in_order
    payload = p["payload"] if isinstance(p["payload"], bytes) else encode(p["payload"])
    signed = encode([encode(p["protected"]), p["unprotected"], payload, p["raw"]])
    return encode([{"signing_certificate": p["pem"], "signature": list(signed)}])


def refused(data: bytes, field: str, words: str = "") -> None:
    with pytest.raises(Malformed) as caught:
        eif_signature.read(data)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_what_is_signed_is_read() -> None:
    found = eif_signature.read(GOOD)
    assert found.pem == IDENTITY.pem
    assert found.certificate == IDENTITY.der
    assert found.value == PCR0
    assert found.sign1.alg == -35


def test_the_layout_is_the_formats() -> None:
    assert section() == GOOD
    assert GOOD.startswith(eif_signature.FIRST_BYTES)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"pem": IDENTITY.pem}, "eif.signature signing_certificate", "not an array of bytes"),
        ({"pem": [256]}, "eif.signature signing_certificate", "no byte"),
        ({"pem": [-1]}, "eif.signature signing_certificate", "no byte"),
        ({"pem": [True]}, "eif.signature signing_certificate", "no byte"),
        ({"pem": []}, "signing certificate", "not one certificate"),
        ({"pem": list(b"text\n" + IDENTITY.pem)}, "signing certificate", "nothing else"),
        ({"pem": list(IDENTITY.pem + b"\0")}, "signing certificate", "alone"),
        ({"pem": list(IDENTITY.pem * 2)}, "signing certificate", "holds 2 certificates"),
        ({"pem": list(IDENTITY.key_pem())}, "signing certificate", "nothing else"),
        ({"protected": {1: -257}}, "COSE algorithm", "-257"),
        ({"protected": {1: -8}}, "COSE algorithm", "-8"),
        ({"protected": {1: -7}}, "COSE signature", "96 bytes, ES256 has 64"),
        ({"protected": {1: -35, 4: b"k"}}, "COSE protected header", "exactly {1: alg}"),
        ({"unprotected": {4: b"k"}}, "COSE unprotected header", "empty map"),
        ({"raw": bytes(95)}, "COSE signature", "95 bytes"),
        ({"raw": b""}, "COSE signature", "0 bytes"),
        ({"payload": []}, "eif.signature payload", "in this order"),
        (
            {"payload": {"register_value": list(PCR0), "register_index": 0}},
            "eif.signature payload",
            "in this order",
        ),
        (
            {"payload": {"register_index": 1, "register_value": list(PCR0)}},
            "eif.signature register_index",
            "only PCR0",
        ),
        (
            {"payload": {"register_index": False, "register_value": list(PCR0)}},
            "eif.signature register_index",
            "only PCR0",
        ),
        (
            {"payload": {"register_index": 0, "register_value": PCR0}},
            "eif.signature register_value",
            "array of bytes",
        ),
        (
            {"payload": {"register_index": 0, "register_value": list(PCR0[1:])}},
            "eif.signature register_value",
            "47 bytes",
        ),
        (
            {"payload": {"register_index": 0, "register_value": list(PCR0), "more": 1}},
            "eif.signature payload",
            "in this order",
        ),
        ({"payload": b"\xff"}, "eif.signature payload", ""),
    ],
)
def test_bad_input_is_refused_by_name(changes: dict[str, Any], field: str, words: str) -> None:
    refused(section(**changes), field, words)


def test_the_outermost_shape() -> None:
    one = cbor.decode(GOOD, field="")[0]
    encode = cbor.encode_in_order
    refused(encode([]), "eif.signature", "array of one")
    refused(encode([one, one]), "eif.signature", "array of one")
    refused(encode(one), "eif.signature", "array of one")
    refused(encode([dict(reversed(one.items()))]), "eif.signature", "in this order")
    refused(encode([one | {"more": []}]), "eif.signature", "in this order")
    tagged = one | {"signature": [0xD2, *one["signature"]]}
    refused(encode([tagged]), "COSE_Sign1", "untagged")
    refused(GOOD + b"\0", "eif.signature", "bytes follow")
    refused(b"", "eif.signature")
    refused(b"\x9a\xff\xff\xff\xff", "eif.signature", "cannot fit")
    refused(bytes(MAX_SIGNATURE + 1), "eif.signature", "larger")
    refused(bytes(MAX_SIGNATURE), "eif.signature", "bytes follow")


def test_a_certificate_must_be_one_element_of_der() -> None:
    import base64

    def pem(der: bytes) -> bytes:
        return (
            b"-----BEGIN CERTIFICATE-----\n"
            + base64.b64encode(der)
            + b"\n-----END CERTIFICATE-----\n"
        )

    assert eif_signature.certificate(pem(IDENTITY.der)) == IDENTITY.der
    for der, words in (
        (IDENTITY.der + b"\0", "follow"),
        (IDENTITY.der[:-1], "fewer are left"),
        (b"\x02\x01\x01", "tag"),
    ):
        with pytest.raises(Malformed, match=words):
            eif_signature.certificate(pem(der))


def test_every_truncation_is_refused() -> None:
    for size in range(len(GOOD)):
        with pytest.raises(Malformed):
            eif_signature.read(GOOD[:size])


def test_offsets_are_those_of_the_file() -> None:
    with pytest.raises(Malformed) as caught:
        eif_signature.read(b"\x81", base=1000)
    assert caught.value.offset == 1001


def test_what_cannot_be_written() -> None:
    with pytest.raises(Misuse, match="48 bytes"):
        eif_signature.payload(b"short")
    around = len(eif_signature.write(bytes(1000), b"")) - 1000  # zeros take a byte each
    assert len(eif_signature.write(bytes(MAX_SIGNATURE - around), b"")) == MAX_SIGNATURE
    with pytest.raises(Misuse, match="32768 are allowed"):
        eif_signature.write(bytes(MAX_SIGNATURE - around + 1), b"")


@given(st.binary(max_size=200))
def test_junk_is_malformed_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        eif_signature.read(data)
    with contextlib.suppress(Malformed):
        eif_signature.read(eif_signature.FIRST_BYTES + data)


@given(st.integers(0, len(GOOD) * 8 - 1))
def test_another_bit_is_another_signature_or_none(bit: int) -> None:
    changed = bytearray(GOOD)
    changed[bit // 8] ^= 1 << (bit % 8)
    try:
        found = eif_signature.read(bytes(changed))
    except Malformed:
        return
    assert found != eif_signature.read(GOOD)


@given(
    st.binary(min_size=48, max_size=48),
    st.sampled_from([(-7, 64), (-35, 96), (-36, 132)]),
    st.data(),
)
def test_what_is_written_is_read_back(
    value: bytes, algorithm: tuple[int, int], data: st.DataObject
) -> None:
    number, size = algorithm
    raw = data.draw(st.binary(min_size=size, max_size=size))
    encode = cbor.encode_in_order
    sign1 = encode([encode({1: number}), {}, eif_signature.payload(value), raw])
    written = eif_signature.write(IDENTITY.pem, sign1)
    found = eif_signature.read(written)
    assert (found.value, found.sign1.alg, found.sign1.signature) == (value, number, raw)
    assert eif_signature.write(found.pem, sign1) == written
