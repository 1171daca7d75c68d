"""A command line with data of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TROTH = Path(sys.executable).with_name("troth")


@pytest.fixture
def troth(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Runs a command with data of its own and the user's cache of packages; stops what it left."""
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path / "data")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [TROTH, *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"troth {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    yield run
    subprocess.run([TROTH, "stop", "--all"], env=environment, capture_output=True, check=False)
