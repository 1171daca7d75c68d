"""Progress is said on a terminal only, and only of what takes time."""

import sys
import time

import pytest

from troth.cli import _progress


def told(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool, steps: list[tuple[str, float]]
) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(_progress, "say", said.append)
    monkeypatch.setattr(_progress, "PATIENCE", 0.05)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with _progress.progress() as tell:
        for text, seconds in steps:
            tell(text)
            time.sleep(seconds)
    time.sleep(0.1)
    return said


def test_only_what_lasts_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [("quick", 0.0), ("slow", 0.5), ("last", 0.0)]
    assert told(monkeypatch, terminal=True, steps=steps) == ["slow"]


def test_nothing_is_said_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, terminal=False, steps=[("slow", 0.2)]) == []
