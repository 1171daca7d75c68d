"""What comes out of a packed layer: all of it, counted and hashed, and not a byte more than allowed."""

import gzip
import hashlib
import random
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.image.containers import packed

from troth.errors import Malformed, Unavailable
from troth.image import unpacked
from troth.image.unpacked import Budget, Unpacked


@dataclass
class Blob:
    data: bytes
    name: str = "blob"

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, at: int, size: int) -> bytes:
        return self.data[at : at + size]


def everything(stream: Unpacked, sizes: list[int]) -> bytes:
    found = b""
    while True:
        size = sizes[len(found) % len(sizes)]
        piece = stream.read(size)
        found += piece
        if len(piece) < size:
            assert stream.read(10) == b""
            return found


SKIPPED = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"


@given(
    data=st.binary(max_size=3000),
    often=st.integers(1, 200),
    cut=st.integers(0, 3000),
    how=st.sampled_from(["plain", "gzip", "zstd"]),
    sizes=st.lists(st.integers(1, 400_000), min_size=1, max_size=5),
)
def test_all_of_it(*, data, often, cut, how, sizes) -> None:
    whole = data * often
    # In two members or frames, and for zstd with what is to be skipped around them.
    stored = packed(whole[:cut], how) + packed(whole[cut:], how)
    if how == "zstd":
        stored = SKIPPED + stored + SKIPPED
    stream = Unpacked(Blob(stored), Budget())
    assert everything(stream, sizes) == whole
    assert stream.digests() == (
        hashlib.sha256(stored).hexdigest(),
        hashlib.sha256(whole).hexdigest(),
    )


def test_passing_over_hashes_all_the_same() -> None:
    data = random.Random(1).randbytes(1_000_000)
    stream = Unpacked(Blob(gzip.compress(data)), Budget())
    assert stream.skip(999_999) == 999_999
    assert stream.read(10) == data[-1:]
    assert stream.skip(10) == 0
    assert stream.digests()[1] == hashlib.sha256(data).hexdigest()


DATA = bytes(range(256)) * 2000


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (gzip.compress(DATA, mtime=0)[:-1], "is cut short"),
        (gzip.compress(DATA, mtime=0)[:20], "is cut short"),
        (gzip.compress(DATA, mtime=0) + b"x", "is cut short"),
        (gzip.compress(DATA, mtime=0) + bytes(10), "cannot be unpacked"),
        (gzip.compress(DATA, mtime=0)[:-8] + bytes(8), "cannot be unpacked"),
        (b"\x1f\x8b" + bytes(30), "cannot be unpacked"),
        (packed(DATA, "zstd")[:-1], "is cut short"),
        (packed(DATA, "zstd") + b"x", "cannot be unpacked|cut short"),
        (packed(DATA, "zstd") + bytes(20), "cannot be unpacked"),
    ],
)
def test_what_is_damaged(stored: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        everything(Unpacked(Blob(stored), Budget()), [70_000])


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_bomb_ends_at_the_budget(how: str) -> None:
    """A gigabyte out of a megabyte is refused as soon as the budget is used up."""
    bomb = packed(bytes(1 << 24), how) * 64
    budget = Budget(1 << 20)
    stream = Unpacked(Blob(bomb), budget)
    with pytest.raises(Malformed, match="unpacks to more than an image may hold") as refused:
        stream.skip(1 << 40)
    assert budget.left > -2 * unpacked.PIECE
    assert "4 GiB" in refused.value.fix


def test_the_budget_is_for_all_layers() -> None:
    budget = Budget(3000)
    assert Unpacked(Blob(bytes(2000)), budget).read(5000) == bytes(2000)
    with pytest.raises(Malformed):
        Unpacked(Blob(bytes(2000)), budget).read(5000)


def test_zstd_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "backports", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    with pytest.raises(Unavailable, match="packed with zstd") as refused:
        Unpacked(Blob(b"\x28\xb5\x2f\xfd"), Budget())
    assert "troth[zstd]" in refused.value.fix
