"""CBOR: one encoding for each value, and our own error for everything else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.wire import cbor

KEYS = st.integers(-(2**63), 2**63) | st.text(max_size=6) | st.binary(max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def deep(value: Any) -> int:
    if isinstance(value, list):
        return 1 + max(map(deep, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(deep, value.values()), default=0)
    return 0


@given(value=VALUES)
def test_what_is_encoded_is_read_back(value: Any) -> None:
    for data in (cbor.encode(value), cbor.encode_in_order(value)):
        if deep(value) <= cbor.MAX_DEPTH:
            assert cbor.decode(data, field="x") == value
        for size in range(len(data)):
            with pytest.raises(Malformed):
                cbor.decode(data[:size], field="x")
        with pytest.raises(Malformed):
            cbor.decode(data + b"\0", field="x")


@given(data=st.binary(max_size=64))
def test_any_bytes_are_a_value_in_its_one_form_or_malformed(data: bytes) -> None:
    try:
        value = cbor.decode(data, field="x")
    except Malformed:
        return
    assert cbor.encode_in_order(value) == data


@pytest.mark.parametrize(
    "text",
    [
        "1800", "1817", "190018", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3817", "5817" + "00" * 23,
        "590017" + "00" * 23, "7800", "9800", "b800", "1c", "1d", "1e", "1f", "3f", "5f", "7f", "9f", "bf",
        "ff", "f7", "f8ff", "f800", "f90000", "fa00000000", "fb0000000000000000", "e0", "f3", "fc",
        "c000", "d28400", "61ff", "62c328", "a2010101", "a20100" + "0100", "a1f500", "a18000", "a1f600",
        "a1a000", "5affffffff", "5b7fffffffffffffff", "9b7fffffffffffffff", "bb7fffffffffffffff", "82", "a1",
        "8301", "",
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(Malformed):
        cbor.decode(bytes.fromhex(text), field="x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00", 0), ("17", 23), ("1818", 24), ("18ff", 255), ("190100", 256), ("19ffff", 65535),
        ("1a00010000", 65536), ("1affffffff", 2**32 - 1), ("1b0000000100000000", 2**32), ("20", -1),
        ("3818", -25), ("f4", False), ("f5", True), ("f6", None), ("40", b""), ("60", ""), ("80", []),
        ("a0", {}), ("a10102", {1: 2}), ("a1410002", {b"\0": 2}), ("a12002", {-1: 2}),
    ],
)  # fmt: skip
def test_accepted(text: str, value: Any) -> None:
    found = cbor.decode(bytes.fromhex(text), field="x")
    assert found == value
    assert type(found) is type(value)


def test_canonical_order_is_bytewise_and_not_by_length() -> None:
    value = {"b": 1, 1000: 2, -1: 3, b"": 4, "aa": 5, 5: {"y": 1, 300: 2}}
    keys = ["05", "1903e8", "20", "40", "6162", "626161"]
    data = cbor.encode(value)
    at = [data.index(bytes.fromhex(key)) for key in keys]
    assert at == sorted(at)
    assert data.startswith(bytes.fromhex("a605a219012c0261790119"))
    assert cbor.decode(data, field="x") == value


@given(value=st.dictionaries(KEYS, st.dictionaries(KEYS, st.none(), max_size=3), max_size=6))
def test_canonical_is_one_for_any_order(value: dict[Any, Any]) -> None:
    backwards = {key: dict(reversed(value[key].items())) for key in reversed(value)}
    assert cbor.encode(backwards) == cbor.encode(value)
    heads = [cbor.encode(key) for key in cbor.decode(cbor.encode(value), field="x")]
    assert heads == sorted(heads)


def test_errors_are_short_and_say_hostile_text_plainly() -> None:
    key = cbor.encode("\x1b[31m" + "x" * 5000)
    with pytest.raises(Malformed) as raised:
        cbor.decode(b"\xa2" + 2 * (key + b"\x00"), field="x")
    assert len(str(raised.value)) < 200
    assert str(raised.value).isprintable()


def test_depth() -> None:
    ok = b"\x81" * cbor.MAX_DEPTH + b"\0"
    assert cbor.decode(ok, field="x")
    with pytest.raises(Malformed):
        cbor.decode(b"\x81" + ok, field="x")
    with pytest.raises(Malformed):
        cbor.decode(b"\x81" * 100_000, field="x")


def test_tags_are_named_by_the_caller() -> None:
    assert cbor.decode(b"\xd2\x01", field="x", tags=frozenset({18})) == cbor.Tagged(18, 1)
    with pytest.raises(Malformed):
        cbor.decode(b"\xd3\x01", field="x", tags=frozenset({18}))


def test_an_indefinite_map_only_outermost_and_only_where_allowed() -> None:
    data = bytes.fromhex("bf0102ff")
    assert cbor.decode(data, field="x", allow_indefinite_map=True) == {1: 2}
    assert cbor.decode(b"\xbf\xff", field="x", allow_indefinite_map=True) == {}
    for bad in (
        "bf0102",
        "bf01ff",
        "bf",
        "bf0102ff00",
        "bf01bf0203ffff",
        "9f01ff",
        "81bfff",
        "bf01020102ff",
    ):
        with pytest.raises(Malformed):
            cbor.decode(bytes.fromhex(bad), field="x", allow_indefinite_map=True)


def test_errors_point_into_the_file() -> None:
    with pytest.raises(Malformed) as raised:
        cbor.decode(bytes.fromhex("82f8ff00"), field="part", base=100)
    assert raised.value.field == "part"
    assert raised.value.offset == 101
