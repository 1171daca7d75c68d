"""Attacks by amount: JSON that is refused must be refused at once."""

import time

from tests.platforms.dcap.made import NOW

import troth
from troth.model.report import Verdict

KEYS = 100_000


def test_a_key_that_stands_twice_behind_many_others_is_found_at_once() -> None:
    """As evidence: a dstack guest agent's answer, of a size that is read."""
    members = ",".join(f'"{n}":0' for n in range(KEYS))
    data = f'{{"quote":"","event_log":"",{members},"{KEYS - 1}":0}}'.encode()
    begin = time.process_time()
    report = troth.appraise(data, policy=troth.Policy(name="any"), at=NOW)
    assert report.verdict is Verdict.MALFORMED
    assert time.process_time() - begin < 5
