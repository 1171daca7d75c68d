"""The vsock device: whatever guest, front end and host do, it is served, bounded, and touches nothing else."""

import random
from collections.abc import Iterable
from functools import cache

from fuzz.hostile import Rig
from fuzz.hostile_steps import RECORD, play, script
from fuzz.target import Target


@cache
def _rig() -> Rig:
    return Rig()


def _run(data: bytes) -> None:
    rig = _rig()
    play(rig, data)
    if rig.scripts % 100 == 0:
        rig.serves()


def _seeds() -> Iterable[bytes]:
    return [script(random.Random(number)) for number in range(12)]


TARGET = Target(run=_run, seeds=_seeds, refuses=(), longest=101 * RECORD)
