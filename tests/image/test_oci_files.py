"""What was saved is found by name, in a folder and in a tar archive, and never outside of it."""

import os
import tarfile
from pathlib import Path

import pytest
from tests.image.containers import as_folder, as_tar, folder, hard, link, member, packed, tar

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import oci_files

FILES = {"a": b"first", "b/c": b"second"}


@pytest.mark.parametrize("save", [as_tar, as_folder])
def test_found_by_name(save, tmp_path: Path) -> None:
    with oci_files.opened(save(FILES, tmp_path / "x")) as files:
        found = files.find("b/c")
        assert found is not None
        assert (found.size, found.read(0, 99), found.read(2, 3), found.read(6, 1)) == (
            6,
            b"second",
            b"con",
            b"",
        )
        assert files.find("b/d") is None
        assert files.find("b") is None


def saved(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    return path


def test_links_of_old_archives(tmp_path: Path) -> None:
    data = tar(
        folder("./2/"), member("./1/layer.tar", b"x"), link("2/layer.tar", "../1/layer.tar"),
        link("round", "round"), link("out", "../../1/layer.tar"), link("none", "absent"),
    )  # fmt: skip
    with oci_files.opened(saved(tmp_path, data)) as files:
        linked = files.find("2/layer.tar")
        assert linked is not None and linked.read(0, 9) == b"x"
        assert files.find("round") is None
        assert files.find("none") is None
        # The archive is its own root: nothing lies above it.
        assert files.find("out") is not None


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (packed(tar(), "gzip"), Misuse, "is packed as a whole"),
        (packed(tar(), "zstd"), Misuse, "is packed as a whole"),
        (tar(member("a"), member("./a")), Malformed, "holds 'a' twice"),
        (tar(member("a"), link("a", "b")), Malformed, "holds 'a' twice"),
        (tar(member("a"), hard("b", "a")), Malformed, "holds 'b', a hard link"),
        (tar(member("p", type=tarfile.FIFOTYPE)), Malformed, "holds 'p', a pipe"),
        (tar(member("a", b"text"))[:700], Malformed, "in the midst of a file"),
        (b"no archive at all" * 40, Malformed, "is no number|damaged"),
        (b"", Malformed, "in the midst of a header"),
    ],
)
def test_archives_that_are_refused(data: bytes, kind, said: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=said), oci_files.opened(saved(tmp_path, data)):
        pass


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci_files, "_MOST_FILES", 2)
    data = tar(member("a"), member("b"), member("c"))
    with (
        pytest.raises(Malformed, match="more than 2 files"),
        oci_files.opened(saved(tmp_path, data)),
    ):
        pass


def test_what_is_not_there(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(Misuse, match="is no file and no folder"), oci_files.opened(absent):
        pass


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(Misuse, match="is no file and no folder"),
        oci_files.opened(tmp_path / "pipe"),
    ):
        pass
    (tmp_path / "x").mkdir()
    os.mkfifo(tmp_path / "x" / "a")
    with oci_files.opened(tmp_path / "x") as files:
        assert files.find("a") is None


def test_a_folder_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    place = as_folder(FILES, tmp_path / "x")
    (place / "link").symlink_to("../secret")
    (place / "inner").symlink_to("b/c")
    with oci_files.opened(place) as files:
        with pytest.raises(Misuse, match="leads out of"):
            files.find("link")
        for name in ("../secret", "/etc/passwd", "b/../../secret", "./a"):
            with pytest.raises(Malformed, match="no plain path"):
                files.find(name)
        assert files.find("inner") is not None


def test_a_file_that_shrinks_meanwhile(tmp_path: Path) -> None:
    path = as_tar(FILES, tmp_path / "x")
    with oci_files.opened(path) as files:
        found = files.find("a")
        assert found is not None
        path.write_bytes(b"")
        assert found.read(0, 5) == b""
    with oci_files.opened(as_folder(FILES, tmp_path / "y")) as files:
        found = files.find("a")
    assert found is not None
    with pytest.raises(Unavailable):
        found.read(0, 5)
