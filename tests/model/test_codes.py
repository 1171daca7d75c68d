"""Codes go to other processes by their number, and come back as the very same."""

import copy
import pickle
from dataclasses import replace

from troth.model.codes import TABLE


def test_a_code_of_the_table_is_sent_by_its_number() -> None:
    for code in TABLE.values():
        sent = pickle.dumps(code, 5)
        assert len(sent) < 100
        assert pickle.loads(sent) is code  # noqa: S301 - our own
        assert copy.deepcopy(code) is code


def test_another_code_is_sent_whole() -> None:
    known = next(iter(TABLE.values()))
    strange = replace(known, title="another")
    assert pickle.loads(pickle.dumps(strange, 5)) == strange != known  # noqa: S301 - our own
