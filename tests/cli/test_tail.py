"""A console is shown as it comes: whole lines, spelled out, also when its file is begun anew or taken away."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.runtime.test_state import record

from troth.cli._tail import Tail
from troth.cli.main import run as troth
from troth.runtime import state


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]):
    def lines() -> list[str]:
        return capsys.readouterr().out.splitlines()

    return lines


def test_lines_as_they_come(tmp_path: Path, shown) -> None:
    path = tmp_path / "console.log"
    tail = Tail(path)
    tail.show(ended=False)
    assert shown() == []
    path.write_bytes(b"one\r\ntw")
    tail.show(ended=False)
    assert shown() == ["one"]
    with path.open("ab") as file:
        file.write(b"o\nthree")
    tail.show(ended=False)
    assert shown() == ["two"]
    tail.show(ended=True)
    assert shown() == ["three"]


def test_hostile_words_do_nothing(tmp_path: Path, shown) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b"\x1b]0;owned\x07\x1b[2J\xff\n")
    Tail(path).show(ended=True)
    (line,) = shown()
    assert "\x1b" not in line
    assert line.startswith("\\x1b]0;owned")


def test_a_file_that_is_begun_anew_and_one_that_is_gone(tmp_path: Path, shown) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b"old\n")
    tail = Tail(path)
    tail.show(ended=False)
    with path.open("ab") as file:
        file.write(b"last of the old\n")
    path.replace(tmp_path / "console.log.1")
    path.write_bytes(b"first of the new\n")
    tail.show(ended=False)
    with path.open("ab") as file:
        file.write(b"the end\n")
    path.unlink()
    tail.show(ended=True)
    assert shown() == ["old", "last of the old", "first of the new", "the end"]


def test_a_line_without_an_end_is_not_kept_for_ever(tmp_path: Path, shown) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b"x" * (3 << 20))
    tail = Tail(path)
    tail.show(ended=False)
    lines = shown()
    assert lines and all(len(line) < 5000 for line in lines)
    assert len(tail._rest) <= 1 << 16


def test_nothing_is_followed_out_of_the_folder(tmp_path: Path, shown) -> None:
    Tail(tmp_path / "absent").show(ended=True)
    assert shown() == []
    assert not list(tmp_path.iterdir())


@pytest.fixture
def starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> state.RunState:
    """A run that has shown one line and half of another."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    run = record(status=state.STARTING)
    run.folder.mkdir(parents=True)
    run.write(run.folder)
    (run.folder / state.CONSOLE).write_bytes(b"one\ntw")
    return run


def end(run: state.RunState) -> None:
    with (run.folder / state.CONSOLE).open("ab") as file:
        file.write(b"o\nthree")
    replace(run, status=state.ENDED, exit_code=0).write(run.folder)


@pytest.mark.parametrize("argv", [("logs",), ("console", "--once")])
def test_what_is_there(argv: tuple[str, ...], starting: state.RunState, shown) -> None:
    name, *flags = argv
    assert troth([name, starting.id, *flags]) == 0
    assert shown() == ["one", "tw"]


@pytest.mark.parametrize("argv", [("logs", "-f"), ("console",)])
@pytest.mark.parametrize("ends", [end, lambda run: shutil.rmtree(run.folder)])
def test_it_is_followed_from_its_start_to_its_end(
    argv: tuple[str, ...],
    ends: Callable[[state.RunState], object],
    starting: state.RunState,
    shown,
) -> None:
    name, *flags = argv
    code: list[int] = []
    thread = threading.Thread(target=lambda: code.append(troth([name, starting.id, *flags])))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    ends(starting)
    thread.join(30)
    assert code == [0]
    assert shown() == ["one", *(["two", "three"] if ends is end else ["tw"])]
