"""Files are written whole or not at all, and colour is decoration."""

import io
import os
import stat
from pathlib import Path

import pytest

from troth.cli import _console
from troth.errors import Malformed, Misuse, Unavailable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_needs_a_terminal_and_nobody_who_said_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert _console.coloured(Terminal())
    assert not _console.coloured(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not _console.coloured(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not _console.coloured(Terminal())


def test_a_file_is_written_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"old")
    _console.write_file(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(Misuse, match="exists"):
        _console.write_file(path, b"newer", replace=False)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    target.write_bytes(b"old")
    link.symlink_to(target)
    _console.write_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _console.write_file(pipe, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_place_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        _console.write_file(tmp_path / "absent" / "file", b"")
    for source in (tmp_path / "absent", tmp_path, "a\0b"):
        with pytest.raises(Unavailable):
            _console.read_source(str(source))


def test_a_source_has_a_limit(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(11))
    assert _console.read_source(str(tmp_path / "big"), limit=11) == bytes(11)
    with pytest.raises(Malformed, match="larger"):
        _console.read_source(str(tmp_path / "big"), limit=10)


def test_a_policy_that_is_no_text_is_misuse(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes(b"name = \xff")
    with pytest.raises(Misuse, match="UTF-8"):
        _console.read_text(tmp_path / "p.toml")
