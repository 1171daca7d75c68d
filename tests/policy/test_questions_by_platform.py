"""What must be answered for acceptance, by platform: a question that nobody asked is never a yes."""

import pytest

from troth.policy import Policy
from troth.policy.appraise import Expectation, required
from troth.policy.requirements import Requirements


@pytest.mark.parametrize(
    ("platform", "asked", "codes"),
    [
        ("nvidia", Requirements(), {"R205"}),
        ("nvidia", Requirements(mode=frozenset({"spt"})), {"R205", "P301"}),
        ("tpm", Requirements(), {"P211"}),
        ("tpm", Requirements(ak=frozenset({"azure"})), {"P211", "P212"}),
        ("gcs", Requirements(), {"P207"}),
        ("maa", Requirements(), {"P207"}),
        ("nitro", Requirements(), set()),
    ],
)
def test_questions_of_one_platform(platform: str, asked: Requirements, codes: set[str]) -> None:
    policy = Policy(name="test", requirements={} if asked == Requirements() else {platform: asked})
    found = {code.id for code in required(policy, Expectation(), platform)}
    assert found & {"R205", "P301", "P211", "P212", "P207"} == codes
