"""What starting costs: `import troth` and `troth verify` as processes."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.nitro import PLAIN, PLAIN_AT
from bench.timing import Line

ROUNDS = 9
# As people start it: what is compiled once is kept.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _median(*argv: str, status: int = 0) -> float:
    took = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=ENVIRONMENT
        )
        took.append(time.perf_counter() - begin)
        assert done.returncode == status, done.stderr.decode()
    return statistics.median(took)


def starting(vectors: Path) -> list[Line]:
    """Against a bare interpreter; the limits in seconds are turned into ratios of one run."""
    bare = _median(sys.executable, "-c", "pass")
    imported = _median(sys.executable, "-c", "import troth")
    verified = _median(
        *(str(Path(sys.executable).with_name("troth")), "verify", str(vectors / "nitro" / PLAIN)),
        *("--at", f"{PLAIN_AT:%Y-%m-%dT%H:%M:%SZ}", "--waive", "measurement"),
        status=6,
    )
    return [
        Line("import troth, beyond Python", imported - bare, "150 ms", 0.150, 1.0),
        Line("troth verify, a process", verified, "350 ms", 0.350, 1.0),
    ]
