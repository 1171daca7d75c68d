"""A pytest plugin for `mutants.py`: tells coverage which test is running, and writes how long each took."""

import json
import os
from collections import defaultdict
from pathlib import Path

import coverage
import pytest

_TOOK: dict[str, float] = defaultdict(float)


def function(nodeid: str) -> str:
    """The test function, without its parameters."""
    return nodeid.partition("[")[0]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Name the context."""
    current = coverage.Coverage.current()
    if current is not None:
        current.switch_context(function(item.nodeid))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the time."""
    _TOOK[function(report.nodeid)] += report.duration


def pytest_sessionfinish() -> None:
    """Write the times where `mutants.py` wants them."""
    if out := os.environ.get("TROTH_MUTANTS_TIMES"):
        Path(out).write_text(json.dumps(_TOOK), encoding="utf-8")
