"""An image whose files are more than a compressed ramdisk may hold."""

from typing import Any

import pytest

from troth.image import build, rootfs
from troth.image.tree import Tree
from troth.wire import ramdisk


@pytest.mark.parametrize(("size", "compressed"), [(1000, 2), (5000, 1)])
def test_what_nobody_would_unpack_is_not_compressed(
    monkeypatch: pytest.MonkeyPatch, size: int, compressed: int
) -> None:
    squeezed: list[Any] = []

    def squeeze(archives: list[Any], **_: object) -> list[bytes]:
        squeezed.extend(archives)
        return [
            b"".join(piece for chunk in archive for piece in chunk.pieces) for archive in archives
        ]

    monkeypatch.setattr(build.squeeze, "squeeze", squeeze)
    monkeypatch.setattr(ramdisk, "MAX_UNPACKED", 4000)
    tree = Tree()
    tree.add_file("init", b"#!", owner="troth", executable=True)
    tree.add_file("app/model", bytes(size), owner="app")

    made = rootfs.Rootfs(tree, None, None)  # type: ignore[arg-type]
    first, second = build._ramdisks(made, None, None)
    assert len(squeezed) == compressed
    assert [entry.path for entry in ramdisk.read(b"".join(first))] == ["init"]
    assert "app/model" in [entry.path for entry in ramdisk.read(b"".join(second))]
