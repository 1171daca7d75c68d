"""A budget for an attack surface: numbers that an image may not go beyond, and who brought what is over."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from troth.errors import Malformed, Misuse, TrothError
from troth.image.surface_words import NUMBERS
from troth.image.toml_table import Table
from troth.wire import json

MEGABYTES: Final = "megabytes"
"""A number for people: `bytes` in millions, each begun one counted."""
_PAIR: Final = re.compile(r"([a-z_]+)=(\d{1,15})")
_MOST: Final = 10**15
_OWNERS: Final = 3
_MILLION: Final = 1_000_000


class OverBudget(TrothError):  # noqa: N818 - the word for the thing
    """An image has more of something than its budget allows; nothing was written."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an image may have.

    Attributes:
        limits: the most of each number; one that is absent is not limited.
        before: of an earlier build, each owner's numbers by kind and name, to tell who grew.
    """

    limits: Mapping[str, int]
    before: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)


NONE: Final = Budget(limits={})


def of_table(table: Table) -> dict[str, int]:
    """The recipe's `[budget]`.

    Raises:
        Misuse: a number that there is not, or one that is none.
    """
    names = (*NUMBERS, MEGABYTES)
    found = {name: table.take(name, int, None) for name in names}
    table.end()
    limits = {name: value for name, value in found.items() if value is not None}
    for name, value in limits.items():
        if not 0 <= value <= _MOST:
            raise Misuse(f"troth.toml: {table.path(name)} is {value}, and must be 0 to {_MOST}")
    return limits


def of_text(text: str) -> Budget:
    """What is said in one line, such as `files=900,elf=40`.

    Raises:
        Misuse: it is not said so, or a number there is not, or is there twice.
    """
    limits: dict[str, int] = {}
    for part in text.split(","):
        match = _PAIR.fullmatch(part.strip())
        if match is None or match[1] in limits:
            raise Misuse(
                f"{part.strip()!r} is no part of a budget, or is there twice",
                fix="give a build record, or numbers: --budget files=900,megabytes=60,setuid=0",
            )
        if match[1] not in NUMBERS and match[1] != MEGABYTES:
            raise Misuse(
                f"there is no number {match[1]!r} in an attack surface",
                fix=f"choose among {', '.join((*NUMBERS, MEGABYTES))}",
            )
        limits[match[1]] = int(match[2])
    return Budget(limits=limits)


def of_record(data: bytes, *, name: str) -> Budget:
    """An earlier build's record: no number may grow.

    Args:
        data: of the file `NAME.build.json`.
        name: the file's, for errors.

    Raises:
        Malformed: it is no build record, or one from before there were surfaces.
    """
    record = json.parse(data, field=name)
    surface = record.get("surface") if isinstance(record, dict) else None
    if not isinstance(surface, dict):
        raise Malformed(
            "has no attack surface", field=name, fix="build the image again, and give its record"
        )
    owners = surface.get("owners")
    if not isinstance(owners, list):
        raise Malformed("says of no owner what it brought", field=f"{name}: surface.owners")
    before = {}
    for owner in owners:
        if not isinstance(owner, dict):
            raise Malformed("holds what is no owner", field=f"{name}: surface.owners")
        row = _numbers(owner.get("numbers"), f"{name}: surface.owners")
        before[str(owner.get("kind")), str(owner.get("name"))] = row
    limits = _numbers(surface.get("numbers"), f"{name}: surface.numbers")
    if set(limits) != set(NUMBERS):
        # One that is absent would not be held, and nobody would be told.
        raise Malformed("has other numbers than this troth", field=f"{name}: surface.numbers")
    return Budget(limits=limits, before=before)


def _numbers(value: Any, where: str) -> dict[str, int]:
    if not isinstance(value, dict):
        raise Malformed("has no numbers", field=where)
    for name, number in value.items():
        if name not in NUMBERS or type(number) is not int or not 0 <= number <= _MOST:
            raise Malformed(f"has {name} = {number!r}"[:200], field=where)
    return value


def hold(surface: Mapping[str, Any], budget: Budget) -> None:
    """Compare a surface with a budget.

    Raises:
        OverBudget: a number is over; each is named with by how much, and who brought it.
    """
    over = [
        _words(name, found, limit, surface["owners"], budget)
        for name, limit in budget.limits.items()
        if (found := value_of(surface["numbers"], name)) > limit
    ]
    if over:
        raise OverBudget(
            "the attack surface is over its budget: " + "; ".join(over),
            fix="take it out, or raise the number in [budget] of troth.toml or with --budget",
        )


def value_of(numbers: Mapping[str, int], name: str) -> int:
    """A number by its name, `megabytes` among them."""
    return -(-numbers["bytes"] // _MILLION) if name == MEGABYTES else numbers[name]


def _words(
    name: str, found: int, limit: int, owners: list[Mapping[str, Any]], budget: Budget
) -> str:
    counted = "bytes" if name == MEGABYTES else name
    rows = []
    for owner in owners:
        was = budget.before.get((owner["kind"], owner["name"]), {}).get(counted, 0)
        grew = owner["numbers"].get(counted, 0) - was
        if grew > 0:
            rows.append((-grew, owner["name"]))
    rows.sort()
    sign = "+" if budget.before else ""
    brought = ", ".join(f"{owner} {sign}{-amount}" for amount, owner in rows[:_OWNERS])
    more = f" and {len(rows) - _OWNERS} more" if len(rows) > _OWNERS else ""
    unit = "bytes " if name == MEGABYTES else ""
    return f"{name} is {found}, {found - limit} over {limit} ({unit}by {brought}{more})"
