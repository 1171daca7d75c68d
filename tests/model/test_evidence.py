"""Evidence is bytes that do not change, whatever a caller brings."""

import pytest
from tests.platforms.dcap.made import KINDS, good, pinned

from troth.model.evidence import Evidence
from troth.model.report import Verdict
from troth.platforms.dcap.simulate import QuoteKind


def test_what_a_caller_may_change_is_copied() -> None:
    mutable = bytearray(b"evidence")
    for data in (mutable, memoryview(mutable)):
        evidence = Evidence(data=data)  # type: ignore[arg-type]
        assert type(evidence.data) is bytes
        mutable[0] ^= 1
        assert evidence == Evidence(data=b"evidence")
        mutable[0] ^= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_buffer_is_judged_as_bytes_are(kind: QuoteKind) -> None:
    case = good(kind)
    policy = pinned(case.data)
    for data in (bytearray(case.data), memoryview(case.data)):
        object.__setattr__(case, "data", data)
        assert case.report(policy).verdict is Verdict.ACCEPTED
