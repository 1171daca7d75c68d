"""A small file of very many devices: its size times its size is no memory that anybody has."""

import json
import tracemalloc

from tests.platforms.nvidia.made import AT

import troth
from troth.model.report import Verdict

MANY = 4000
ROOM = 64 * 1024 * 1024


def test_what_all_devices_share_is_not_copied_to_each() -> None:
    """Ninety kilobytes took eight hundred megabytes; four megabytes may be given."""
    shared = {f"k{n}": 0 for n in range(2 * MANY)}
    data = json.dumps(shared | {"evidence_list": [{}] * MANY}).encode()
    tracemalloc.start()
    try:
        report = troth.appraise(data, policy=troth.Policy(name="any"), at=AT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.verdict is Verdict.MALFORMED
    assert peak < ROOM
