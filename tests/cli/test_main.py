"""Errors to exit codes, in one place; what goes where; what a person sees of a bug."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App
from tests.platforms.nitro.forge import LEAF, NONCE, document, judge, specs

import troth
from troth.cli import main
from troth.model.check import Waiver
from troth.model.report import Rejected, Report, Undecided


def reports() -> tuple[Report, Report, Report, Report]:
    evidence, trusted = document()
    none = troth.Policy(name="none")
    waive = frozenset({Waiver.MEASUREMENT})
    return (
        judge(evidence, trusted, nonce=NONCE[::-1]),
        judge(evidence, trusted, policy=none),
        judge(evidence, trusted, policy=none, waive=waive),
        judge(b"junk", trusted),
    )


REJECTED, UNDECIDED, WAIVED, MALFORMED = reports()


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise error

    real = main.make_app

    def app() -> App:
        made = real()
        made.command(fail, name="fail")
        return made

    monkeypatch.setattr(main, "make_app", app)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (troth.Malformed("is short", field="payload", offset=3), 3),
        (troth.Misuse("both are given", fix="leave one away"), 2),
        (troth.Unavailable("no space left", fix="make room"), 5),
        (Rejected(REJECTED), 1),
        (Rejected(MALFORMED), 3),
        (Undecided(UNDECIDED), 4),
        (Undecided(WAIVED), 6),
        (KeyboardInterrupt(), 130),
        (RuntimeError("\x1b[31mboom"), 70),
        (OSError(28, "No space left on device"), 5),
    ],
)
def test_every_error_has_its_exit_code(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raising(error, monkeypatch)
    assert main.run(["fail"]) == code
    told = capsys.readouterr()
    assert told.out == "", "stdout is data"
    assert told.err
    assert "\x1b" not in told.err
    assert "Traceback" not in told.err


def test_an_error_ends_in_its_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(troth.Misuse("both\x1b are given", fix="leave one away"), monkeypatch)
    main.run(["fail"])
    assert capsys.readouterr().err == "error: both\\x1b are given\n  fix: leave one away\n"


def test_a_traceback_only_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(RuntimeError("boom"), monkeypatch)
    monkeypatch.setenv("TROTH_TRACEBACK", "1")
    assert main.run(["fail"]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["nope"], ["--nope"], ["verify"], ["verify", "a", "b"], ["explain", "--what"]]
)
def test_a_wrong_command_line_is_misuse(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(argv) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert "--help" in told.err


@pytest.mark.parametrize("argv", [[], ["--help"], ["--version"], ["verify", "--help"]])
def test_asking_for_help_is_no_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(argv) == 0
    assert capsys.readouterr().out


def test_every_command_is_there() -> None:
    app = main.make_app()
    for name, _, summary in main.COMMANDS:
        assert app[name].name[0] == name
        assert summary.endswith((".", "?"))


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    heavy = ("cryptography", "cbor2", "OpenSSL", "rich", "troth.image", "troth.channel")
    code = (
        "import sys; import troth.cli.main as m; m.make_app(); "
        f"print([n for n in {heavy!r} if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_reader_that_went_away_is_no_success(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "troth", "explain", "--list"],
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
            cwd=tmp_path,
        )
    finally:
        os.close(write)
    assert done.returncode == 5
    assert done.stderr == b""


def test_a_terminal_without_our_signs_still_reads(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    done = subprocess.run(
        [sys.executable, "-m", "troth", "verify", "junk"],
        capture_output=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 3
    assert done.stdout.isascii()
    assert b"x malformed" in done.stdout


def negative_serial(der: bytes) -> bytes:
    """The library warns of such a certificate."""
    at = der.index(b"\xa0\x03\x02\x01\x02\x02") + 7
    return der[:at] + bytes([der[at] | 0x80]) + der[at + 1 :]


@pytest.mark.parametrize("ambient", [{}, {"PYTHONWARNINGS": "error"}, {"TROTH_TRACEBACK": "1"}])
def test_what_libraries_warn_of_is_no_talk_of_ours(ambient: dict[str, str], tmp_path: Path) -> None:
    chain = specs()
    chain[LEAF].mangle = negative_serial
    evidence, _ = document(chain)
    (tmp_path / "hostile").write_bytes(evidence)
    # A verdict is made by our own reader; `inspect` shows names by the library's.
    for command, code, warns in (("verify", 1, False), ("inspect", 0, True)):
        done = subprocess.run(
            [sys.executable, "-m", "troth", command, "hostile"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env=os.environ | ambient,
        )
        assert done.returncode == code, done.stderr
        said = "Warning" in done.stderr
        assert said == (warns and "TROTH_TRACEBACK" in ambient), done.stderr


def test_an_interrupt_among_the_imports_is_said(tmp_path: Path) -> None:
    """Whoever presses Ctrl-C in the first tenths of a second gets a word and 130, not a traceback."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'troth.cli.main':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupts())\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "troth", "--version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_file_is_judged_without_what_opens_connections(tmp_path: Path) -> None:
    """TLS and the services' protocols take a fifth of the time that a verdict on a file does."""
    (tmp_path / "evidence").write_bytes(document()[0])
    program = (
        "import sys\n"
        "from troth.cli.main import run\n"
        "code = run(['verify', 'evidence', '-q'])\n"
        "heavy = [m for m in ('OpenSSL', 'socket', 'troth.channel.web') if m in sys.modules]\n"
        "print(code, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["1", "[]"], done.stdout
