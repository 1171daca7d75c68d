"""Ramdisks are compressed by the image's interpreter: the same bytes whatever Python builds."""

import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from tests.image.conftest import Sample

from troth.errors import Misuse
from troth.image import rootfs, squeeze, squeeze_worker
from troth.image.locking import ensure
from troth.image.tree import Tree
from troth.wire import ramdisk

ARCHIVES = [[b"a" * 1000, memoryview(b"b" * 3000)], [bytes(range(256)) * 9000], []]


@pytest.mark.network
def test_what_comes_out_is_what_went_in(sample: Sample) -> None:
    recipe, lock, store = ensure(sample.folder, store=sample.store)
    tree, _ = rootfs.make(sample.folder, recipe, lock, store)
    first, second = (squeeze.squeeze(ARCHIVES, interpreter=tree, python="3.13") for _ in range(2))
    assert first == second
    for pieces, packed in zip(ARCHIVES, first, strict=True):
        assert len(packed) % ramdisk.ALIGNMENT == 0
        tool = zlib.decompressobj(31)
        assert tool.decompress(packed) == b"".join(pieces)
        assert packed[:9] == b"\x1f\x8b\x08\0\0\0\0\0\0"  # no name, no time
    assert squeeze_worker.LEVEL == 4


def test_without_an_interpreter() -> None:
    with pytest.raises(Misuse, match="no loader"):
        squeeze.squeeze(ARCHIVES, interpreter=Tree(), python="3.13")


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
