"""Ramdisks, plain and compressed: what is read, and what is no ramdisk."""

import gzip
import zlib
from stat import S_IFREG

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.wire import cpio, ramdisk

ENTRIES = tuple(
    cpio.Entry(path=name, mode=S_IFREG | 0o644, data=name.encode() * 100) for name in ("a", "b")
)
PLAIN = b"".join(cpio.pack(ENTRIES))
GZIP = gzip.compress(PLAIN, mtime=0)


def names(data: bytes) -> list[str]:
    return [entry.path for entry in ramdisk.read(data)]


def test_plain_and_compressed_are_the_same() -> None:
    assert ramdisk.read(PLAIN) == ramdisk.read(GZIP) == ramdisk.read(ramdisk.padded([GZIP]))
    assert names(GZIP) == ["a", "b"]
    assert ramdisk.read(memoryview(GZIP)) == ramdisk.read(PLAIN)


@pytest.mark.parametrize("size", range(8))
def test_padding_ends_where_the_next_may_begin(size: int) -> None:
    padded = ramdisk.padded([bytes(size)])
    assert len(padded) % ramdisk.ALIGNMENT == 0
    assert len(padded) - size < ramdisk.ALIGNMENT


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GZIP[:-1], "is cut short"),
        (GZIP[:2], "is cut short"),
        (GZIP + bytes(4), "other bytes behind it"),
        (GZIP + b"\1", "other bytes behind it"),
        (GZIP + GZIP, "other bytes behind it"),
        (GZIP[:-8] + bytes(4) + GZIP[-4:], "is damaged"),
        (GZIP[:-4] + bytes(4), "is damaged"),
        (b"\x1f\x8b" + bytes(40), "is damaged"),
        (gzip.compress(b"no archive", mtime=0), "cpio"),
        (gzip.compress(PLAIN[:-100], mtime=0), "cpio"),
        (b"\x28\xb5\x2f\xfd" + bytes(200), "cpio"),
    ],
)
def test_what_is_no_ramdisk(data: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        ramdisk.read(data, base=100)


def test_one_that_unpacks_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ramdisk, "MAX_UNPACKED", len(PLAIN) - 1)
    with pytest.raises(Malformed, match="unpacks to more than"):
        ramdisk.read(GZIP)
    monkeypatch.setattr(ramdisk, "MAX_UNPACKED", len(PLAIN))
    assert names(GZIP) == ["a", "b"]


@given(st.integers(0, len(GZIP) * 8 - 1))
def test_a_bit_that_is_not_as_it_was(bit: int) -> None:
    data = bytearray(GZIP)
    data[bit // 8] ^= 1 << bit % 8
    try:  # there are several ways to say the same, but the sum of the content is checked
        assert ramdisk.read(bytes(data)) == ramdisk.read(PLAIN)
    except Malformed:
        pass


@given(st.binary(max_size=300))
def test_any_bytes_are_a_ramdisk_or_refused(data: bytes) -> None:
    for each in (data, b"\x1f\x8b\x08" + data, zlib.compress(data, wbits=31)):
        try:
            ramdisk.read(each)
        except Malformed:
            pass


def test_all_of_an_image_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(len(entry.data) for entry in ENTRIES)
    disks = [(GZIP, 10), (PLAIN, 20), (GZIP, 30)]
    monkeypatch.setattr(ramdisk, "MAX_TOGETHER", 3 * size)
    assert list(ramdisk.read_all(disks)) == [ramdisk.read(PLAIN)] * 3
    monkeypatch.setattr(ramdisk, "MAX_TOGETHER", 3 * size - 1)
    with pytest.raises(Malformed, match="unpack to more than") as caught:
        list(ramdisk.read_all(disks))
    assert caught.value.offset == 30


def test_names_of_an_image_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpio, "MAX_ENTRIES", 4)
    assert len(list(ramdisk.read_all([(GZIP, 0), (PLAIN, 0)]))) == 2
    with pytest.raises(Malformed, match="have more than 4 entries"):
        list(ramdisk.read_all([(GZIP, 0), (PLAIN, 0), (GZIP, 0)]))
