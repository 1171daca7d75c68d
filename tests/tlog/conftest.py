"""What all tests of logs share."""

import os

import pytest


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody cuts the power in these tests: a model says what it would leave (crash.py)."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
