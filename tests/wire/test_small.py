"""The small readers: bounded bytes, DER elements, strict hex, base64 and JSON, COSE envelopes."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse
from troth.wire import cbor, cose, der, json
from troth.wire.reader import Reader
from troth.wire.text import from_base64, from_hex


def test_reader() -> None:
    reader = Reader(b"\x01\x02\x03\x04\x05", base=10)
    assert reader.uint(2, "a") == 0x0102
    assert reader.uint(2, "b", "little") == 0x0403
    assert (reader.offset, reader.remaining) == (14, 1)
    for size in (2, -1):
        with pytest.raises(Malformed) as raised:
            reader.take(size, "c")
        assert (raised.value.field, raised.value.offset) == ("c", 14)
    with pytest.raises(Malformed):
        reader.end("d")
    assert reader.take(1, "e") == b"\x05"
    assert reader.take(0, "f") == b""
    reader.end("g")


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_der_lengths(size: int) -> None:
    body = bytes(size)
    digits = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    head = bytes([size]) if size < 128 else bytes([0x80 | len(digits)]) + digits
    data = b"\x30" + head + body
    begin = der.only(data, "x", tag=der.SEQUENCE)
    assert data[begin:] == body
    assert der.element(b"before" + data + b"behind", 6, "x") == (6 + begin, 6 + len(data))
    with pytest.raises(Malformed):
        der.only(data + b"\0", "x", tag=der.SEQUENCE)
    with pytest.raises(Malformed):
        der.only(data[:-1], "x", tag=der.SEQUENCE)
    with pytest.raises(Malformed):
        der.only(data, "x", tag=der.INTEGER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "3080",
        "308100",
        "30817f",
        "3082007f",
        "308200ff",
        "30830000ff",
        "3084000000ff",
        "1f0100",
        "30ff",
    ],
)
def test_der_refused(text: str) -> None:
    with pytest.raises(Malformed):
        der.element(bytes.fromhex(text) + bytes(127 if len(text) > 4 else 0), 0, "x")


@given(data=st.binary(max_size=40))
def test_der_any_bytes(data: bytes) -> None:
    try:
        begin, end = der.element(data, 0, "x")
    except Malformed:
        return
    assert 2 <= begin <= end <= len(data)


@given(data=st.binary(max_size=40))
def test_hex_and_base64(data: bytes) -> None:
    assert from_hex(data.hex(), field="x") == data
    assert from_hex("0x" + data.hex().upper(), field="x") == data
    text = base64.b64encode(data)
    assert from_base64(text, field="x") == data
    assert from_base64(text + b"\n", field="x") == data
    with pytest.raises(Malformed):
        from_hex(data.hex() + "0", field="x")
    with pytest.raises(Malformed):
        from_base64(text + b"\n\n", field="x")


@pytest.mark.parametrize("text", ["0", "zz", "a b", "00 ", "0x0x00", "\uff10\uff10", "+1"])
def test_no_hex(text: str) -> None:
    with pytest.raises(Malformed):
        from_hex(text, field="x")


@pytest.mark.parametrize(
    "text",
    [b"A", b"AB", b"AAA", b"AB==", b"AAB=", b"AA==AA==", b"AA-_", b" AAAA", b"\xff\xff\xff\xff"],
)
def test_no_base64(text: bytes) -> None:
    with pytest.raises(Malformed):
        from_base64(text, field="x")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(value=JSON)
def test_json_canonical_reads_back_and_is_one(value: Any) -> None:
    data = json.canonical(value)
    assert json.parse(data, field="x") == value
    assert json.canonical(json.parse(data, field="x")) == data


def test_json_order_is_by_utf16() -> None:
    assert json.canonical({"\ufb33": 1, "\U0001f600": 2, "a": 3, "1": 4}) == (
        '{"1":4,"a":3,"\U0001f600":2,"\ufb33":1}'.encode()
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"a":1,"a":1}', b'[{"b":{"a":1,"a":2}}]', b"NaN", b"[Infinity]", b"-Infinity", b"\xff", b"[1]x",
     b"[" * 100_000, b"1" * 5000, b"'a'", b'"\x01"'],
)  # fmt: skip
def test_json_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        json.parse(data, field="x")


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "1.0", "0.5", "1e2", "-0.0", str(2**53 + 1), str(-(2**53) - 1)]
)
def test_json_has_no_number_but_integers_that_are_exact(number: str) -> None:
    for text in (number, f"[{number}]", f'{{"a": [{number}]}}'):
        with pytest.raises(Malformed, match="has "):
            json.parse(text, field="x")


@pytest.mark.parametrize("digits", [17, 100, 4300, 4301, 1_000_000])
def test_json_integers_of_any_length(digits: int) -> None:
    for text in ("9" * digits, "-" + "9" * digits, f"[{'9' * digits}]"):
        with pytest.raises(Malformed, match=r"has -?9{29,30}|has -?9{17}") as told:
            json.parse(text, field="x")
        assert len(str(told.value)) < 100


def test_json_limits() -> None:
    for value in (2**53, -(2**53), 0, -1):
        assert json.parse(str(value), field="x") == value
    assert json.parse(b"[1]", field="x", limit=3) == [1]
    with pytest.raises(Malformed):
        json.parse(b"[1] ", field="x", limit=3)
    for value in (1.5, 2**53 + 1, -(2**53) - 1, {1: 2}, b"x", {"a": [{"b": 0.1}]}):
        with pytest.raises(Misuse):
            json.canonical(value)
    assert json.canonical([2**53, -(2**53)])


def test_json_half_a_surrogate_pair_has_no_canonical_form() -> None:
    for value in ("\ud800", {"\udfff": 1}, [{"a": ["x\udc00"]}]):
        with pytest.raises(Misuse):
            json.canonical(value)
    assert json.parse(b'"\\ud83d\\ude00"', field="x") == "\U0001f600"


def test_json_that_is_nested_too_deep_has_no_canonical_form() -> None:
    value = json.parse(b"[" * 900 + b"]" * 900, field="x")
    with pytest.raises(Misuse, match="too deep"):
        json.canonical(value)
    assert json.canonical(json.parse(b"[" * 60 + b"]" * 60, field="x")) == b"[" * 60 + b"]" * 60


def test_der_is_never_huge() -> None:
    """Four bytes of length are refused even where that many bytes follow."""
    huge = b"\x30\x84\x01\x00\x00\x00" + bytes(1 << 24)
    with pytest.raises(Malformed):
        der.only(huge, "x", tag=der.SEQUENCE)


def test_cose_algorithm_is_a_number() -> None:
    for header in ({1: True}, {1: "ES384"}, {1: None}, {True: -35}, {1: -35, 2: 0}, {2: -35}, [1]):
        with pytest.raises(Malformed):
            cose.parse_sign1(cbor.encode_in_order([cbor.encode(header), {}, b"p", b"s"]))


@pytest.mark.parametrize("size", [0, 1, 23, 24, 96, 255, 256])
def test_cose_offsets(size: int) -> None:
    protected = cbor.encode({1: -35})
    data = cbor.encode_in_order([protected, {}, b"payload", bytes(size)])
    found = cose.parse_sign1(data)
    assert data[found.payload_offset :].startswith(b"payload")
    assert (found.alg, found.protected, found.signature) == (-35, protected, bytes(size))
    assert found.to_be_signed() == cbor.encode_in_order(["Signature1", protected, b"", b"payload"])
    assert cose.parse_sign1(b"\xd2" + data).payload == b"payload"


@given(data=st.binary(max_size=80))
def test_cose_any_bytes(data: bytes) -> None:
    for prefix in (b"", b"\x84\x44\xa1\x01\x38\x22"):
        try:
            cose.parse_sign1(prefix + data)
        except Malformed:
            pass
