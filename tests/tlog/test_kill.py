"""Real processes, really killed, on the real disk. `make tlog-kill` does it 200 times."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_twenty_processes_are_killed_and_nothing_is_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.tlog.kill", "20"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("20 processes killed")
