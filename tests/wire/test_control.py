"""Frames between a host and an agent: whole ones are read, and nothing else is."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.wire import control


def take(data: bytes, **limit: int) -> object:
    return control.take(io.BytesIO(data).read, **limit)


def test_there_and_back() -> None:
    stream = io.BytesIO(control.pack({"ready": True}) + control.pack({"ended": 3}))
    assert control.take(stream.read) == ("ready", True)
    assert control.take(stream.read) == ("ended", 3)
    assert control.take(stream.read) is None


def test_bytes_may_come_one_by_one() -> None:
    stream = io.BytesIO(control.pack({"free": {"a": "00ff"}}))
    assert control.take(lambda _: stream.read(1)) == ("free", {"a": "00ff"})


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0",
        b"\0\0\0\x05{",
        b"\0\0\0\x02{}",
        b"\0\0\0\x02[]",
        b"\0\0\0\x00",
        b"\0\0\0\x0d" + b'{"a":1,"b":2}',
        b"\0\0\0\x0d" + b'{"a":1,"a":1}',
        b"\0\0\0\x07" + b'{"a":1e',
        b"\xff\xff\xff\xff",
        (control.MAX_FRAME + 1).to_bytes(4, "big") + bytes(2000),
    ],
)
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(Malformed):
        take(data)


def test_a_limit_holds_before_anything_is_read() -> None:
    def read(size: int) -> bytes:
        assert size <= 4, "it read on"
        return (1 << 30).to_bytes(4, "big")

    with pytest.raises(Malformed, match="1073741824 bytes"):
        control.take(read)


@given(st.binary(max_size=64))
def test_any_bytes(data: bytes) -> None:
    try:
        take(data)
    except Malformed:
        pass
