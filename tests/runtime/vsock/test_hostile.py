"""A sample of what `python -m fuzz.vsock` does a million times: whatever is done, it serves on."""

import random

from fuzz.hostile import Rig
from fuzz.hostile_steps import play, script


def test_scripts_of_a_hostile_guest_change_nothing_for_the_next() -> None:
    rig, draw = Rig(), random.Random(20261126)
    for _ in range(6):
        for _ in range(20):
            play(rig, script(draw))
        rig.serves()
    assert rig.messages > 2000
    assert rig.carried > 0
