"""Ramdisks are compressed by the image's interpreter: the same bytes whatever Python builds."""

import zlib

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
