"""A folder of this machine's as the app's root: in one order, past no link, and nothing quietly lost."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.image.containers import tree

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import walk
from troth.image.unpacked import Budget


def filled(place: Path) -> Path:
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "app").write_bytes(b"#!/bin/sh\n")
    (place / "bin" / "app").chmod(0o711)
    (place / "etc").mkdir()
    (place / "etc" / "grüße").write_bytes(b"x")
    (place / "lib").symlink_to("/usr/lib")
    (place / "empty").mkdir()
    return place


EXPECTED = {
    "bin": None,
    "bin/app": b"#!/bin/sh\n+",
    "empty": None,
    "etc": None,
    "etc/grüße": b"x",
    "lib": "-> /usr/lib",
}


def test_all_of_it(tmp_path: Path) -> None:
    root, left_out = walk.walk(filled(tmp_path / "r"))
    assert tree(root) == EXPECTED
    assert left_out.said() == ()
    assert root.name == "r"


def test_dates_owners_and_modes_are_not_content(tmp_path: Path) -> None:
    place = filled(tmp_path / "r")
    first = sorted(walk.walk(place)[0].entries(), key=lambda e: e.path)
    for path in (place, *place.rglob("*")):
        if not path.is_symlink():
            os.utime(path, (1, 2))
            path.chmod(path.stat().st_mode & ~0o077)
    (tmp_path / "link").symlink_to(place)
    assert sorted(walk.walk(tmp_path / "link")[0].entries(), key=lambda e: e.path) == first


def test_links_are_never_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"x")
    place = tmp_path / "r"
    place.mkdir()
    (place / "abs").symlink_to(tmp_path / "outside")
    (place / "rel").symlink_to("../outside/secret")
    (place / "round").symlink_to("round")
    assert tree(walk.walk(place)[0]) == {
        "abs": f"-> {tmp_path}/outside",
        "rel": "-> ../outside/secret",
        "round": "-> round",
    }


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    place = filled(tmp_path / "r")
    os.mkfifo(place / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place / "s"))
    (place / "bin" / "app").chmod(0o4755)
    for name in ("run", "tmp", "proc", "dev"):
        (place / name / "deep").mkdir(parents=True)
        (place / name / "deep" / "file").write_bytes(b"x")
    root, left_out = walk.walk(place)
    assert left_out.said() == (
        "1 files below /run are left out: it is mounted over: /run/deep/file",
        "1 files below /tmp are left out: it is mounted over: /tmp/deep/file",
        "1 pipes are left out: /pipe",
        "1 programs lose their set-user or set-group bit: /bin/app",
        "1 sockets are left out: /s",
    )
    assert tree(root) == EXPECTED | {
        "dev": None, "proc": None, "run": None, "run/deep": None, "tmp": None, "tmp/deep": None
    }  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to make a device")
def test_a_device(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this machine lets nobody make devices")
    _, left_out = walk.walk(tmp_path)
    assert left_out.said() == ("1 character devices are left out: /null",)


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, real = filled(tmp_path / "r"), os.open

    def refused(path, flags, mode=0o777, *, dir_fd=None):
        if path == "grüße":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(Unavailable, match=r"^etc/grüße can't be read: permission denied$") as why:
        walk.walk(place)
    assert "make it readable" in why.value.fix


def longer(file: Path) -> None:
    with file.open("ab") as out:
        out.write(b"more")


def rewritten(file: Path) -> None:
    file.write_bytes(b"#!/bin/XX\n")
    os.utime(file, ns=(1, 1))


def added(file: Path) -> None:
    (file.parent / "other").touch()


def replaced(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


@pytest.mark.parametrize("change", [longer, rewritten, added])
def test_a_file_that_changes_while_it_is_read(
    change: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, real = filled(tmp_path / "r"), os.fstat
    file, waiting = place / "bin" / "app", [change]
    inode = file.stat().st_ino

    def looked_at(handle: int) -> os.stat_result:
        status = real(handle)
        if status.st_ino == inode and waiting:
            waiting.pop()(file)
        return status

    monkeypatch.setattr(os, "fstat", looked_at)
    with pytest.raises(Unavailable, match="changed while it was read") as why:
        walk.walk(place)
    assert "let nothing write" in why.value.fix


@pytest.mark.parametrize("change", [Path.unlink, replaced])
def test_a_file_that_goes_before_it_is_opened(
    change: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link in the place of a file is not followed, whenever it came there."""
    place, real = filled(tmp_path / "r"), os.open

    def opened(path, flags, mode=0o777, *, dir_fd=None):
        if path == "app":
            change(place / "bin" / "app")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(Unavailable, match=r"bin/app (changed while it was read|can't be read)"):
        walk.walk(place)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff")
    place = tmp_path / "r"
    place.mkdir()
    (place / name).touch()
    with pytest.raises(Misuse, match=r"has the name .*xff.*, which is not UTF-8"):
        walk.walk(tmp_path / "r")
    (place / name).unlink()
    (place / "l").symlink_to(name)
    with pytest.raises(Misuse, match="l links to a name that is not UTF-8"):
        walk.walk(tmp_path / "r")


def test_larger_than_an_image_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "Budget", lambda: Budget(10))
    with pytest.raises(Malformed, match="more than an image may hold"):
        walk.walk(filled(tmp_path / "r"))


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(Misuse, match=f"{name} is no folder"):
            walk.walk(tmp_path / name)


def test_no_file_is_left_open(tmp_path: Path) -> None:
    place = filled(tmp_path / "r")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        walk.walk(place)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
