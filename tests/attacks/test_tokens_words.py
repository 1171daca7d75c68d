"""A token that says one thing twice, and in two ways: the better word must not hide the other."""

from typing import Any

import pytest
from tests.platforms.tokens.made import KINDS, NONCE, START, evidence, failing, judged

from troth.platforms.tokens.simulate import Service

KIND = KINDS["ita-tdx"]


@pytest.fixture(scope="module")
def service() -> Service:
    return Service.create("ita", START)


@pytest.mark.parametrize(
    ("attribute", "summary", "wrong"),
    [
        (False, False, set()),
        (True, False, {"P207"}),
        (False, True, {"P207"}),
        (False, None, {"P207"}),
        (None, False, {"P207"}),
    ],
)
def test_a_td_that_can_be_migrated_by_one_of_two_words(
    service: Service, attribute: Any, summary: Any, wrong: set[str]
) -> None:
    said = {"tdx_td_attributes_migratable": attribute, "tdx_is_migratable": summary}
    td = KIND.claims(NONCE)["tdx"] | said
    assert failing(judged(evidence(KIND, service, tdx=td), KIND, service)) == wrong
