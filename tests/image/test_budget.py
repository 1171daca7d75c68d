"""A budget holds what it names, and says who went beyond it."""

from typing import Any

import pytest

from troth.errors import Malformed, Misuse
from troth.image import budget
from troth.image.budget import Budget, OverBudget
from troth.image.surface_words import NUMBERS
from troth.image.toml_table import Table
from troth.wire import json


def surface(**owners: dict[str, int]) -> dict[str, Any]:
    numbers = dict.fromkeys(NUMBERS, 0)
    for row in owners.values():
        for name, amount in row.items():
            numbers[name] += amount
    rows = [{"name": name, "kind": "deb", "numbers": row} for name, row in owners.items()]
    return {"numbers": numbers, "named": {}, "owners": rows, "kernel": {}}


SURFACE = surface(
    a={"files": 3, "bytes": 2_000_001, "shells": 1}, b={"files": 2}, c={"files": 1}, d={"files": 1}
)


def test_what_is_within_it() -> None:
    budget.hold(SURFACE, budget.NONE)
    budget.hold(SURFACE, budget.of_text("files=7,megabytes=3,shells=1,setuid=0"))


def test_each_number_over_is_named_with_who_brought_it() -> None:
    with pytest.raises(OverBudget) as caught:
        budget.hold(SURFACE, budget.of_text("files=5, megabytes=2,shells=0,setuid=0"))
    assert caught.value.exit_code == 1
    said = str(caught.value)
    assert "files is 7, 2 over 5 (by a 3, b 2, c 1 and 1 more)" in said
    assert "megabytes is 3, 1 over 2 (bytes by a 2000001)" in said
    assert "shells is 1, 1 over 0 (by a 1)" in said
    assert "setuid" not in said


def test_an_earlier_build_tells_who_grew() -> None:
    before = json.canonical(
        {"surface": surface(a={"files": 3, "bytes": 2_000_001}, b={"files": 1})}
    )
    limits = budget.of_record(before, name="a.build.json")
    with pytest.raises(OverBudget) as caught:
        budget.hold(SURFACE, limits)
    said = str(caught.value)
    assert "files is 7, 3 over 4 (by b +1, c +1, d +1)" in said
    assert "shells is 1, 1 over 0 (by a +1)" in said
    assert "bytes" not in said
    budget.hold(SURFACE, budget.of_record(json.canonical({"surface": SURFACE}), name="x"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file=3", "no number 'file'"),
        ("files=3,files=4", "twice"),
        ("files", "no part of a budget"),
        ("files=-1", "no part of a budget"),
        ("files=1.5", "no part of a budget"),
        ("", "no part of a budget"),
    ],
)
def test_a_text_that_is_no_budget(text: str, said: str) -> None:
    with pytest.raises(Misuse, match=said):
        budget.of_text(text)


@pytest.mark.parametrize(
    "record",
    [
        {},
        [],
        {"surface": {}},
        {"surface": {"numbers": {}, "owners": []}},
        {"surface": {"numbers": dict.fromkeys(NUMBERS, -1), "owners": []}},
        {"surface": {"numbers": dict.fromkeys(NUMBERS, True), "owners": []}},
        {"surface": {"numbers": {**dict.fromkeys(NUMBERS, 0), "more": 0}, "owners": []}},
        {"surface": {"numbers": dict.fromkeys(NUMBERS, 0), "owners": [1]}},
        {"surface": {"numbers": dict.fromkeys(NUMBERS, 0), "owners": [{"numbers": []}]}},
        # A number that is left out would be held by nobody.
        {"surface": {"numbers": dict.fromkeys(list(NUMBERS)[1:], 0), "owners": []}},
    ],
)
def test_a_record_that_is_no_budget(record: Any) -> None:
    with pytest.raises(Malformed):
        budget.of_record(json.canonical(record), name="x.build.json")


def test_the_recipes_table() -> None:
    assert budget.of_table(Table({"files": 3, "megabytes": 40}, "budget")) == {
        "files": 3, "megabytes": 40,
    }  # fmt: skip
    for bad in ({"fils": 3}, {"files": "3"}, {"files": -1}, {"files": True}, {"files": 10**16}):
        with pytest.raises(Misuse, match=r"budget\.fil"):
            budget.of_table(Table(bad, "budget"))


def test_nothing_limits_what_is_not_named() -> None:
    budget.hold(SURFACE, Budget(limits={"setuid": 0}))
