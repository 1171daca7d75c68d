"""A sample of what `python -m fuzz.vsock` does a million times: whatever is done, it serves on."""

import random
from itertools import count

import pytest
from fuzz.hostile import Rig
from fuzz.hostile_steps import play, script

from fuzz import vsock


def test_scripts_of_a_hostile_guest_change_nothing_for_the_next() -> None:
    rig, draw = Rig(), random.Random(20261126)
    for _ in range(6):
        for _ in range(20):
            play(rig, script(draw))
        rig.serves()
    assert rig.messages > 2000
    assert rig.carried > 0


def test_the_long_run_judges_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vsock.main(["--messages", "300"]) == 0
    grown = count(40 << 10, 17 << 10)
    monkeypatch.setattr(vsock, "_memory", lambda: next(grown))
    assert vsock.main(["--messages", "300"]) == 1
    assert "memory grows" in capsys.readouterr().err
