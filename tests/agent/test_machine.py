"""A machine of its own: its files and its clock are looked at, and its console is no app's terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from troth._version import RELEASED
from troth.agent import machine
from troth.errors import Unavailable

DAY = 24 * 60 * 60
FULL = """
import os, sys
from troth.agent import machine
from troth.errors import Unavailable
from troth.runtime import linux

place, options, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
user, group = os.geteuid(), os.getegid()
linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
linux.map_user(inside=0, user=user, group=group)
linux.mount("tmpfs", place, "tmpfs", 0, options)
machine.check_unpacked(os.statvfs(place))
try:
    for number in range(64):
        with open(f"{place}/{number}", "wb", buffering=0) as file:
            while size > file.tell():
                file.write(bytes(3000))
except OSError as error:
    print("full:", error.strerror)
try:
    machine.check_unpacked(os.statvfs(place))
    print("all there")
except Unavailable as error:
    print(error)
"""


@pytest.mark.namespaces
@pytest.mark.parametrize(
    ("options", "size", "said"),
    [
        ("size=64k", 2000, "cut off"),
        ("size=64k", 1 << 20, "cut off"),
        ("nr_inodes=20", 1, "cut off"),
        ("size=1m", 2000, "all there"),
        ("size=0,nr_inodes=0", 2000, "all there"),
    ],
)
def test_files_that_the_kernel_left_out(tmp_path: Path, options: str, size: int, said: str) -> None:
    """What a kernel does while it unpacks an image, and what is seen of it then."""
    argv = [sys.executable, "-c", FULL, str(tmp_path), options, str(size)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=60)
    *full, last = done.stdout.decode().splitlines()
    assert last.endswith("cut off or missing" if said == "cut off" else said)
    assert bool(full) is (said == "cut off")


def test_a_root_without_a_limit_is_not_full() -> None:
    machine.check_unpacked(os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255)))


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
