"""Ramdisks are compressed by the image's interpreter: the same bytes whatever Python builds."""

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.image.conftest import Sample

from troth.image import rootfs, squeeze, squeeze_worker
from troth.image.locking import ensure
from troth.image.memo import Memo
from troth.wire import cpio, ramdisk
from troth.wire.cpio import Entry

FILES = {"a": b"a" * 1000, "b": memoryview(b"b" * 3000), "c": bytes(range(256)) * 9000, "d": b""}
ARCHIVES = [
    list(cpio.chunks([Entry(path=p, mode=0o100644, data=FILES[p]) for p in names], squeeze.begins))
    for names in ("abc", "bcd", "c", "")
]


@pytest.mark.network
def test_what_comes_out_is_what_went_in(sample: Sample, tmp_path: Path) -> None:
    recipe, lock, store = ensure(sample.folder, store=sample.store)
    memo = Memo(folder=tmp_path, key=bytes(32))
    with rootfs.make(sample.folder, recipe, lock, store) as made:
        tool = made.interpreter
        fresh = squeeze.squeeze(ARCHIVES, interpreter=tool)
        kept, again = (squeeze.squeeze(ARCHIVES, interpreter=tool, memo=memo) for _ in range(2))
    assert fresh == kept == again
    # The number of an entry is in its chunk, and so is the end of the archive.
    assert len(list(tmp_path.iterdir())) == sum(map(len, ARCHIVES)) == 8
    for chunks, packed in zip(ARCHIVES, fresh, strict=True):
        assert len(packed) % ramdisk.ALIGNMENT == 0
        tool = zlib.decompressobj(31)
        assert tool.decompress(packed) == b"".join(p for chunk in chunks for p in chunk.pieces)
        assert tool.eof
        assert packed[:9] == b"\x1f\x8b\x08\0\0\0\0\0\0"  # no name, no time
    assert squeeze_worker.LEVEL == 4


@settings(max_examples=40)
@given(
    st.lists(
        st.binary(max_size=300) | st.sampled_from([bytes(1 << 21), b"ab" * 40_000]), max_size=5
    )
)
def test_a_member_of_chunks_is_one_that_every_reader_takes(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    """Chunks of nothing, of zeros and of what repeats, in whatever order they were deflated."""
    folder = tmp_path_factory.mktemp("x")
    jobs = [[str(folder / f"{n}"), str(folder / f"{n}.deflated")] for n in range(len(chunks))]
    for (source, _), data in zip(jobs, chunks, strict=True):
        Path(source).write_bytes(data)
    failed: list[str] = []
    squeeze_worker.squeeze(list(jobs), failed)
    assert failed == []
    sums = [[zlib.crc32(d).to_bytes(4, "little"), len(d).to_bytes(8, "little")] for d in chunks]
    member = squeeze._member(
        [[*pair, Path(made).read_bytes()] for pair, (_, made) in zip(sums, jobs, strict=True)]
    )
    assert gzip.decompress(member) == b"".join(chunks)
    assert ramdisk.plain(member) == b"".join(chunks)
    # What stands at the end is said of chunks, not of what was inflated: a reader that checks it.
    read = subprocess.run(["gzip", "-dc"], input=member, capture_output=True, check=False)
    assert read.stdout == b"".join(chunks)
    assert read.returncode == 0 or b"trailing zero" in read.stderr, read.stderr


def test_sizes_past_what_gzip_counts() -> None:
    """RFC 1952: modulo 2^32."""
    size = ((4 << 30) + 5).to_bytes(8, "little")
    member = squeeze._member([[bytes(4), size, b""], [bytes(4), size, b""]])
    assert member[16:20] == (10).to_bytes(4, "little")


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=9), max_size=60))
def test_where_a_chunk_begins_is_the_same_whatever_is_beside_it(names: list[str]) -> None:
    paths = [f"a/{number}{name}".replace("/.", "/_") for number, name in enumerate(names)]
    paths = [path for path in paths if "\0" not in path and path.count("/") == 1]
    entries = [Entry(path="a", mode=0o40755), *(Entry(path=p, mode=0o100644) for p in paths)]
    chunks = list(cpio.chunks(entries, squeeze.begins))
    assert len(chunks) == 1 + sum(map(squeeze.begins, paths))
    assert b"".join(p for chunk in chunks for p in chunk.pieces) == b"".join(cpio.pack(entries))
    ends = [chunk.number + len(chunk.entries) for chunk in chunks]
    assert [chunk.number for chunk in chunks] == [1, *ends[:-1]]
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert ends[-1] == len(entries) + 1
    assert squeeze.begins("usr")
    assert 0.5 < sum(squeeze.begins(f"a/{n}") for n in range(6400)) / 100 < 2


def test_what_an_edit_compresses_again() -> None:
    """One chunk; and where there is a file more, all behind it, for each has its number."""
    files = {f"usr/{n:04}": b"%d" % n for n in range(2000)}
    folders = [Entry(path=name, mode=0o40755) for name in ("app", "usr")]

    def tasks(files: dict[str, bytes]) -> set[tuple[bytes | str, ...]]:
        entries = [*folders, *(Entry(path=p, mode=0o100644, data=d) for p, d in files.items())]
        return {tuple(squeeze._content(c)) for c in cpio.chunks(entries, squeeze.begins)}

    before = tasks(files)
    assert len(before) > 20
    assert len(tasks(files | {"usr/0777": b"edited"}) - before) == 1
    assert not tasks(files | {"app/more": b""}) & before
    assert len(tasks(files | {"usr/zzzz": b""}) - before) <= 2


@pytest.mark.parametrize("name", ["absent", "a\0b"])
def test_whatever_goes_wrong_in_a_thread_is_no_success(tmp_path: Path, name: str) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"x")
    jobs = [[str(there), f"{there}.gz"], [f"{tmp_path}/{name}", f"{tmp_path}/out.gz"]]
    done = subprocess.run(
        [sys.executable, "-S", squeeze_worker.__file__],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{tmp_path}/out.gz: " in done.stderr
