"""Sums of joined parts, against zlib's sum of the whole."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from troth.wire import crc32


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_two_parts(first: bytes, second: bytes) -> None:
    found = crc32.joined(zlib.crc32(first), zlib.crc32(second), len(second))
    assert found == zlib.crc32(first + second)


@given(st.lists(st.binary(max_size=90), max_size=9), st.integers(0, 1 << 20))
def test_many_parts_and_large_ones(parts: list[bytes], zeros: int) -> None:
    check = 0
    whole = [*parts, bytes(zeros), *parts]
    for part in whole:
        check = crc32.joined(check, zlib.crc32(part), len(part))
    assert check == zlib.crc32(b"".join(whole))
