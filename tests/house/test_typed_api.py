"""The public API as a type checker sees it: `api.py` beside this file is checked and never run."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_the_public_api_is_typed_as_documented() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(HERE / "api.py")],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
