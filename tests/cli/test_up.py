"""`troth up`: everything that it leaves behind can be used by somebody else, later."""

import html
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from troth.cli.up import Steps, _first_line

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello"
STEPS = ["lock", "built", "measured", "started", "evidence", "channel", "used", "report"]


@pytest.mark.namespaces
@pytest.mark.network
@pytest.mark.slow
def test_the_line_on_the_page_repeats_the_judgement(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path / "data")}

    def troth(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "troth", *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    done = troth("up", str(EXAMPLE))
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "progress is for terminals"
    steps = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("✓")]
    assert steps == STEPS
    assert 'GET / answered 200: hello from {"agent"' in done.stdout
    page = (tmp_path / "build" / "hello" / "report.html").read_text("utf-8")
    (line,) = re.findall(r"<code>(troth verify [^<]*)</code>", page)
    name, *words = shlex.split(html.unescape(line))
    assert name == "troth"
    (tmp_path / "data").rename(tmp_path / "gone")  # as on another machine
    again = troth(*words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.startswith("✓ accepted   development")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"hello\n", ": hello"),
        (b"", ", 0 bytes"),
        (b" \n", ", 2 bytes"),
        (b"one\ntwo\n", ": one …"),
        (b"a" * 300, f": {'a' * 240} …"),
        (b"\x1b[2Jgone\xff", ": \\x1b[2Jgone\ufffd"),
        ("\u202egood".encode(), ": \\u202egood"),
    ],
)
def test_an_answer_is_shown_in_one_line_and_moves_nothing(body: bytes, shown: str) -> None:
    assert _first_line(body) == shown


def test_what_a_client_repeats_of_an_app_moves_nothing() -> None:
    said: list[str] = []
    with Steps(tell=said.append).step("used") as done:
        done("the app says \x1b[2J\u202e")
    assert said[0].endswith("the app says \\x1b[2J\\u202e")
