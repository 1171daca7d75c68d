"""MessagePack and SCALE: what is read, and that each value has one form."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from troth.channel.services.simulate.dstack import packed
from troth.errors import Malformed
from troth.wire import msgpack, scale
from troth.wire.reader import Reader

TREES = st.recursive(
    st.integers(0, 2**32 - 1) | st.text(max_size=300) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner),
    max_leaves=20,
)


def depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0)


@given(TREES)
def test_what_is_written_is_read(value: object) -> None:
    assume(depth(value) <= msgpack.MAX_DEPTH)
    assert msgpack.decode(packed(value), field="value") == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xc0", None),
        (b"\xc3", True),
        (b"\xc2", False),
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\xcc\x80", 128),
        (b"\xcf" + b"\xff" * 8, 2**64 - 1),
        (b"\x80", {}),
        (b"\x90", []),
        (b"\xa0", ""),
        (b"\xc4\0", b""),
    ],
)
def test_plain_values(data: bytes, value: object) -> None:
    assert msgpack.decode(data, field="value") == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xca" + bytes(4),
        b"\xcb" + bytes(8),
        b"\xd4\0\0",
        b"\xe0",
        b"\xd0\0",
        b"\xcc\x7f",
        b"\xcd\0\xff",
        b"\xce\0\0\xff\xff",
        b"\xcf" + bytes(8),
        b"\xd9\x1f" + b"a" * 31,
        b"\xda\0\xff" + b"a" * 255,
        b"\xdc\0\x0f" + b"\0" * 15,
        b"\xde\0\x01\xa1a\0",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xa1\xff",
        b"\x82\xa1a\0\xa1a\0",
        b"\x81\0\0",
        b"\0\0",
        b"\x91" * 20 + b"\0",
        b"\xc4\x05abcd",
    ],
)
def test_other_forms_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        msgpack.decode(data, field="value")


@pytest.mark.parametrize(
    "data", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x92\0", b"\x82\xa0\0"]
)
def test_counts_are_weighed_before_there_is_room_for_them(data: bytes) -> None:
    with pytest.raises(Malformed, match="cannot fit"):
        msgpack.decode(data, field="value")


def test_bytes_in_both_forms() -> None:
    assert msgpack.as_bytes(b"ab", field="x") == msgpack.as_bytes([97, 98], field="x") == b"ab"
    for wrong in ("ab", [256], [-1], [True], [b""], None, {}):
        with pytest.raises(Malformed):
            msgpack.as_bytes(wrong, field="x")


@given(st.integers(0, 2**30 - 1))
def test_compact_numbers(value: int) -> None:
    reader = Reader(scale.number(value))
    assert scale.compact(reader, "number") == value
    reader.end("number")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x03", b"\x03\0\0\0\0", b"\x01", b"\x01\0", b"\x02\0\0\0", b"\x02\0\0", b"\xfd\0"],
)
def test_compact_numbers_have_one_form(data: bytes) -> None:
    with pytest.raises(Malformed):
        scale.compact(Reader(data), "number")


def test_scales_texts_and_lists() -> None:
    data = scale.with_size("é".encode()) + scale.number(2) + scale.with_size(b"a") * 2
    reader = Reader(data)
    assert scale.text(reader, "text") == "é"
    assert scale.many(reader, "list", lambda r: scale.sized(r, "item")) == [b"a", b"a"]
    with pytest.raises(Malformed, match="UTF-8"):
        scale.text(Reader(scale.with_size(b"\xff")), "text")
    with pytest.raises(Malformed, match="cannot fit"):
        scale.many(Reader(scale.number(2**29)), "list", lambda r: scale.sized(r, "item"))
    for wrong in (-1, 2**30):
        with pytest.raises(ValueError, match="no number"):
            scale.number(wrong)
