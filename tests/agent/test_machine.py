"""A machine of its own: its clock is looked at, and its console is no app's terminal."""

import subprocess
import sys

import pytest

from troth._version import RELEASED
from troth.agent import machine
from troth.errors import Unavailable

DAY = 24 * 60 * 60


@pytest.mark.parametrize("now", [RELEASED - DAY, RELEASED, RELEASED + 3650 * DAY])
def test_a_clock_that_may_be_right(now: float) -> None:
    machine.check_clock(now)


@pytest.mark.parametrize(
    ("now", "shown"),
    [(0, "1970-01-01 00:00:00Z"), (-1, "1969-12-31 23:59:59Z"), (RELEASED - 2 * DAY, "2026-10-30")],
)
def test_a_clock_that_is_wrong(now: float, shown: str) -> None:
    with pytest.raises(Unavailable, match=f"clock shows {shown}") as raised:
        machine.check_clock(now)
    assert "the host's clock" in raised.value.fix


def test_the_app_gets_a_pipe_and_the_console_gets_all_of_it() -> None:
    """What was printed before copying began, by whomever; and afterwards the terminal is ours again."""
    script = (
        "import os, stat, subprocess, sys\n"
        "from troth.agent.console import Console\n"
        "made = Console()\n"
        "kinds = [stat.S_ISFIFO(os.fstat(n).st_mode) for n in (1, 2)], os.read(0, 1)\n"
        "print('before', kinds, flush=True)\n"
        "made.start()\n"
        "subprocess.run([sys.executable, '-c', 'print(\\'x\\' * 300000)'])\n"
        "print('late', file=sys.stderr, flush=True)\n"
        "made.finish(30)\n"
        "print('after', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "before ([True, True], b'')"
    assert lines[1] == "x" * 300000
    assert lines[2:] == ["late", "after"]


def test_the_last_words_come_out_where_copying_never_began() -> None:
    script = (
        "from troth.agent.console import Console\n"
        "made = Console()\n"
        "print('agent: no', flush=True)\n"
        "made.finish(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"agent: no\n"
