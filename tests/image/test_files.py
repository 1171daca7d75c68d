"""Files are written whole and together, or not at all."""

from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.image import files


def test_files_that_belong_together(tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder"
    files.write_together(place, {"a": [b"1", memoryview(b"2")], "b": []})
    assert {p.name: p.read_bytes() for p in place.iterdir()} == {"a": b"12", "b": b""}
    assert {p.stat().st_mode & 0o777 for p in place.iterdir()} == {0o644}


def test_old_files_are_replaced(tmp_path: Path) -> None:
    for text in (b"old", b"new"):
        files.write_together(tmp_path, {"a": [text], "b": [text]})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"new", "b": b"new"}


def test_an_error_in_the_middle_leaves_the_old_ones(tmp_path: Path) -> None:
    def broken() -> "files.Content":
        yield b"half"
        raise RuntimeError("stop")

    files.write_together(tmp_path, {"a": [b"old"], "b": [b"old"]})
    with pytest.raises(RuntimeError, match="stop"):
        files.write_together(tmp_path, {"a": [b"new"], "b": broken()})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"old", "b": b"old"}


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="writing a: ") as caught:
        files.write_together(tmp_path / "file", {"a": [b""]})
    assert caught.value.fix == "free space or choose another folder"


def test_where_the_cache_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.cache_folder() == home / ".cache" / "troth"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert files.cache_folder() == home / ".cache" / "troth"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert files.cache_folder() == Path("/somewhere/troth")
