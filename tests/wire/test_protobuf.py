"""Protocol buffers: fields by number, and what is no message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.wire.protobuf import MAX_FIELDS, Message


def read(data: bytes) -> Message:
    return Message(data, name="a message")


def test_fields_by_number() -> None:
    found = read(b"\x08\x96\x01\x12\x02ab\x12\x01c\x1d\1\2\3\4\x21" + bytes(8))
    assert found.number(1) == 150
    assert found.every(2) == (b"ab", b"c")
    assert found.bytes(3) == b"\1\2\3\4"
    assert found.bytes(4) == bytes(8)
    assert (found.bytes(9), found.number(9), found.every(9)) == (b"", 0, ())
    assert (2 in found, 9 in found) == (True, False)
    assert read(b"\x08" + b"\xff" * 9 + b"\1").number(1) == 2**64 - 1


def test_a_field_is_what_it_is_asked_for() -> None:
    found = read(b"\x08\1\x08\2\x12\1a\x12\1b")
    for ask in (found.number, found.bytes):
        for number in (1, 2):
            with pytest.raises(Malformed):
                ask(number)
    with pytest.raises(Malformed):
        found.every(1)


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # no value
        b"\x08\x80\x00",  # a number in a longer form
        b"\x08" + b"\xff" * 9 + b"\2",  # past 64 bits
        b"\x08" + b"\x80" * 10,
        b"\x00\x01",  # field 0
        b"\x0b",  # groups
        b"\x0c",
        b"\x0e\x00",
        b"\x0a\x05abc",
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0d\1\2\3",
        b"\x08\1" * (MAX_FIELDS + 1),
    ],
    ids=range(12),
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


@given(data=st.binary(max_size=64))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        read(data)
    except Malformed:
        pass
