"""Times and memory as ratios. What is compared runs in turn, in one process, so that a busy machine slows both."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Step = Callable[[], object]


@dataclass(frozen=True)
class Line:
    """One line of the result: what, against what, the ratio, and the limit we set ourselves."""

    what: str
    amount: float
    floor: str
    floor_amount: float
    limit: float | None = None
    at_least: bool = False
    unit: str = "seconds"

    @property
    def ratio(self) -> float:
        return self.amount / self.floor_amount

    @property
    def kept(self) -> bool:
        if self.limit is None:
            return True
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit


def best(
    steps: Mapping[str, Step],
    *,
    rounds: int = 15,
    seconds: float = 0.03,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The best time of one call of each step, in seconds by that clock.

    Each round runs every step once, in order, for about `seconds`. The best round is taken because
    disturbance only ever adds.
    """
    counts = {}
    for name, step in steps.items():
        step()
        begin = time.perf_counter()
        step()
        counts[name] = max(1, int(seconds / max(time.perf_counter() - begin, 1e-9)))
    found = dict.fromkeys(steps, float("inf"))
    for _ in range(rounds):
        for name, step in steps.items():
            begin = clock()
            for _ in range(counts[name]):
                step()
            found[name] = min(found[name], (clock() - begin) / counts[name])
    return found


def peak() -> int:
    """Most memory this process has held, in bytes; unlike `getrusage`, without its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if "VmHWM" in line)) * 1024


def shown(amount: float, unit: str) -> str:
    """A time or a size for people."""
    if unit == "bytes":
        return f"{amount / 2**20:.0f} MiB"
    if amount >= 1:
        return f"{amount:.2f} s"
    return f"{amount * 1e3:.1f} ms" if amount >= 1e-3 else f"{amount * 1e6:.0f} µs"
