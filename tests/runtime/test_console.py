"""The console: all that was written, in a file of bounded size, whatever happens to the disk."""

import os
from pathlib import Path

import pytest

from troth.runtime import console
from troth.runtime.console import Console


def write(made: Console, path: Path, *chunks: bytes) -> None:
    writer = os.dup(made.write_end)
    made.given()
    made.start(path)
    for chunk in chunks:
        os.write(writer, chunk)
    os.close(writer)
    made.finish(10)


def test_kept_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    write(Console(), path, b"one\n", b"two\n", bytes(200_000))
    assert path.read_bytes() == b"one\ntwo\n" + bytes(200_000)
    assert path.stat().st_mode & 0o777 == 0o600


def test_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "MAX_BYTES", 100_000)
    path = tmp_path / "console.log"
    write(Console(), path, bytes(300_000), b"last")
    assert path.read_bytes().endswith(b"last")
    sizes = [p.stat().st_size for p in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 100_000


def test_the_image_holds_a_pipe_and_no_file(tmp_path: Path) -> None:
    made = Console()
    assert str(Path(f"/proc/self/fd/{made.write_end}").readlink()).startswith("pipe:")
    write(made, tmp_path / "console.log")
