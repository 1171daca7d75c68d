"""Where things lie in a log, and files that are not what lies there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse
from troth.tlog import note, tiles


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (tiles.tile(0, 0), "tile/0/000"),
        (tiles.tile(0, 999), "tile/0/999"),
        (tiles.tile(0, 1000), "tile/0/x001/000"),
        (tiles.tile(0, 1234067), "tile/0/x001/x234/067"),  # the standard's example
        (tiles.tile(3, 5, 17), "tile/3/005.p/17"),
        (tiles.bundle(273, 112), "tile/entries/273.p/112"),
        (tiles.bundle(1234067), "tile/entries/x001/x234/067"),
    ],
)
def test_paths(path: str, wanted: str) -> None:
    assert path == wanted
    assert tiles.most(path) > 0


@pytest.mark.parametrize(("index", "width"), [(-1, 256), (0, 0), (0, 257), (0, -1)])
def test_places_that_are_none(index: int, width: int) -> None:
    with pytest.raises(Misuse, match="no tile is"):
        tiles.tile(0, index, width)
    with pytest.raises(Misuse, match="no tile is"):
        tiles.bundle(index, width)


def test_the_standard_s_example_of_a_log() -> None:
    assert list(tiles.widths(70_000)) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(tiles.widths(256)) == [(0, 1, 0), (1, 0, 1)]
    assert list(tiles.widths(255)) == [(0, 0, 255)]
    assert list(tiles.widths(0)) == [(0, 0, 0)]
    assert list(tiles.widths(65536)) == [(0, 256, 0), (1, 1, 0), (2, 0, 1)]


@given(st.integers(0, 2**62))
def test_widths_are_the_standard_s_formula(size: int) -> None:
    for level, full, rest in tiles.widths(size):
        assert rest == size // 256**level % 256
        assert full == size // 256 ** (level + 1)


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("checkpoint", note.MOST_BYTES),
        ("checkpoints/0", note.MOST_BYTES),
        ("checkpoints/1024", note.MOST_BYTES),
        ("tile/0/000", 8192),
        ("tile/63/x123/456.p/255", 8192),
        ("tile/entries/000", tiles.MOST_BUNDLE),
        ("tile/entries/x001/002.p/1", tiles.MOST_BUNDLE),
    ],
)
def test_each_file_has_its_limit(path: str, limit: int) -> None:
    assert tiles.most(path) == limit


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "/checkpoint", "checkpoint/", "checkpoint\n", "pending", ".lock"),
        *("checkpoints", "checkpoints/", "checkpoints/01", "checkpoints/-1", "checkpoints/../x"),
        *("tile", "tile/0", "tile/0/", "tile/0/00", "tile/0/0000", "tile/0/x000", "tile/00/000"),
        *("tile/64/000", "tile/-1/000", "tile/0/001/000", "tile/0/x001/../000", "tile/data/000"),
        *("tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01"),
        *("tile/0/000.p/1/2", "tile/0/.000.new", "tile/entries/٠٠٠", "tile/0/../../checkpoint"),
        *("tile//000", "tile/0//000", "../tile/0/000", "tile/0/" + "x000/" * 500 + "000"),
    ],
)
def test_paths_that_no_log_has(path: str) -> None:
    with pytest.raises(Misuse, match="is no file of a log") as caught:
        tiles.most(path)
    assert len(str(caught.value)) < 150


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_are_read_as_they_were_packed(entries: list[bytes]) -> None:
    packed = tiles.pack(entries)
    assert tiles.unpack(packed, len(entries), field="bundle") == tuple(entries)
    for width in (len(entries) - 1, len(entries) + 1):
        with pytest.raises(Malformed, match="bundle"):
            tiles.unpack(packed, width, field="bundle")
    with pytest.raises(Malformed):
        tiles.unpack(packed + b"\x00", len(entries), field="bundle")
    for end in {0, 1, len(packed) // 2, len(packed) - 1} - {len(packed)}:
        with pytest.raises(Malformed):
            tiles.unpack(packed[:end], len(entries), field="bundle")


def test_a_length_past_the_end_is_told_with_its_place() -> None:
    with pytest.raises(Malformed, match="bundle at byte 3: the bundle ends inside an entry"):
        tiles.unpack(b"\x00\x01a\xff\xffa", 2, field="bundle")


def test_the_longest_entry_fits_and_one_more_byte_does_not() -> None:
    longest = bytes(tiles.MOST_ENTRY)
    assert tiles.unpack(tiles.pack([longest]), 1, field="bundle") == (longest,)
    with pytest.raises(Misuse, match="an entry has 65536 bytes, at most 65535 fit"):
        tiles.pack([b"a", longest + b"\x00"])


@pytest.mark.parametrize("size", [0, 31, 33, 95, 97, 8192])
def test_a_tile_of_another_length(size: int) -> None:
    with pytest.raises(Malformed, match=f"tile/0/000: the tile has {size} bytes, should have 96"):
        tiles.split(bytes(size), 3, field="tile/0/000")
    assert tiles.split(bytes(range(96)), 3, field="t")[1] == bytes(range(32, 64))
