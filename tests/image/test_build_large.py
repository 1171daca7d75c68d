"""An image whose files are more than a compressed ramdisk may hold."""

from typing import Any

import pytest

from troth.image import build
from troth.image.tree import Tree
from troth.wire import ramdisk


@pytest.mark.parametrize(("size", "compressed"), [(1000, 2), (5000, 1)])
def test_what_nobody_would_unpack_is_not_compressed(
    monkeypatch: pytest.MonkeyPatch, size: int, compressed: int
) -> None:
    squeezed: list[Any] = []

    def squeeze(archives: list[Any], **_: object) -> list[bytes]:
        squeezed.extend(archives)
        return [b"".join(archive) for archive in archives]

    monkeypatch.setattr(build, "squeeze", squeeze)
    monkeypatch.setattr(build.rootfs, "interpreter", lambda *_: Tree())
    monkeypatch.setattr(ramdisk, "MAX_UNPACKED", 4000)
    tree = Tree()
    tree.add_file("init", b"#!", owner="troth", executable=True)
    tree.add_file("app/model", bytes(size), owner="app")

    class Lock:
        suite = "trixie"

    first, second = build._ramdisks(tree, Lock(), None, ())  # type: ignore[arg-type]
    assert len(squeezed) == compressed
    assert [entry.path for entry in ramdisk.read(b"".join(first))] == ["init"]
    assert "app/model" in [entry.path for entry in ramdisk.read(b"".join(second))]
