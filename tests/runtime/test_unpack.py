"""Unpacking writes what the archive says below its root, and removing takes all of it away."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG

import pytest

from troth.errors import Unavailable
from troth.runtime.unpack import remove, unpack
from troth.wire.cpio import Entry


def folder(path: str, mode: int = 0o755) -> Entry:
    return Entry(path=path, mode=S_IFDIR | mode)


def file(path: str, data: bytes, mode: int = 0o644) -> Entry:
    return Entry(path=path, mode=S_IFREG | mode, data=data)


def test_kinds_modes_and_content(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        unpack(
            [
                folder("app"),
                file("app/run", b"#!", 0o755),
                file("app/secret", b"s", 0o600),
                file("app/raised", b"r", 0o4755),
                Entry(path="away", mode=S_IFLNK | 0o777, data=b"/etc/../../etc/passwd"),
                folder("dev"),
                Entry(path="dev/console", mode=S_IFCHR | 0o600, device=(5, 1)),
                folder("shut", 0o555),
                file("shut/in", b"i", 0o444),
            ],
            tmp_path,
        )
    finally:
        os.umask(old)
    assert (tmp_path / "app/run").read_bytes() == b"#!"
    modes = {p: (tmp_path / p).stat().st_mode & 0o7777 for p in ("app/run", "app/secret", "shut")}
    assert modes == {"app/run": 0o755, "app/secret": 0o600, "shut": 0o555}
    assert (tmp_path / "app/raised").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "away").readlink() == Path("/etc/../../etc/passwd")
    assert not (tmp_path / "dev/console").exists()
    assert {"dev", "proc", "run", "sys", "tmp"} <= {p.name for p in tmp_path.iterdir()}


def test_a_link_is_never_written_through(tmp_path: Path) -> None:
    """The reader refuses such an archive; were it to come through, nothing outside is touched."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    root = tmp_path / "root"
    root.mkdir()
    link = Entry(path="x", mode=S_IFLNK | 0o777, data=bytes(outside))
    with pytest.raises(Unavailable):
        unpack([link, file("x", b"theirs")], root)
    assert outside.read_bytes() == b"mine"


def test_no_room(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as raised:
        unpack([file("missing/folder/x", b"")], tmp_path)
    assert raised.value.fix


def test_removed_with_folders_that_may_not_be_written_and_without_following_links(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True, mode=0o500)
    root = tmp_path / "root"
    root.mkdir()
    link = Entry(path="link", mode=S_IFLNK | 0o777, data=bytes(outside / "kept"))
    unpack([folder("a", 0o000), folder("a/b", 0o000), file("a/b/c", b"", 0o000), link], root)
    remove(root)
    assert not root.exists()
    assert (outside / "kept").stat().st_mode & 0o777 == 0o500
    remove(root)


def test_removed_by_several_at_once(tmp_path: Path) -> None:
    """Who stops a run may meet its supervisor, and a third that looks for what others left."""
    for number in range(20):
        root = tmp_path / str(number)
        for name in range(40):
            (root / f"{name % 8}").mkdir(parents=True, exist_ok=True)
            (root / f"{name % 8}" / f"file-{name}").touch()
        with ThreadPoolExecutor(4) as several:
            for done in [several.submit(remove, root) for _ in range(4)]:
                done.result()
        assert not root.exists()
