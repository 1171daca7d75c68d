"""A pytest plugin for `mutants.py`: tells coverage which test is running, and writes how each went."""

import json
import os
from collections import defaultdict
from pathlib import Path

import coverage
import pytest

_TOOK: dict[str, float] = defaultdict(float)
_FAILED: dict[str, None] = {}


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
    if report.failed:
        _FAILED[function(report.nodeid)] = None


def pytest_sessionfinish() -> None:
    """Write the times and the failures where `mutants.py` wants them."""
    if out := os.environ.get("TROTH_MUTANTS_OUT"):
        Path(out).write_text(json.dumps({"took": _TOOK, "failed": [*_FAILED]}), encoding="utf-8")
