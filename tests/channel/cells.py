"""The matrix *service × attack* as data, and what watches that each cell's test shows what the cell says.

`cells.toml` has a table for each service and a line for each attack: the codes with which it is refused
(or `malformed`, `unavailable`, where no verdict comes about), or the sentence of the service's `not_bound`
that says that the protocol leaves it open, or both where half of it is.
"""

import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

import troth
from troth.errors import Malformed, Unavailable
from troth.model.answer import AnswerRefused
from troth.model.check import Check, Outcome
from troth.model.report import Report, Verdict

FILE: Final = Path(__file__).parent / "services" / "cells.toml"
WORDS: Final = frozenset({"malformed", "unavailable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What becomes of one attack on one service.

    Attributes:
        service, attack: whose cell it is.
        test: name of the test that shows it.
        refused: codes, or words for errors; each run of the test must see one of them.
        not_bound: a sentence of the service's.
    """

    service: str
    attack: str
    test: str
    refused: frozenset[str]
    not_bound: str


def load() -> tuple[tuple[str, ...], tuple[str, ...], tuple[Cell, ...]]:
    """Services, attacks, and the cells that there are."""
    document = tomllib.loads(FILE.read_text(encoding="utf-8"))
    attacks = tuple(document.pop("attacks"))
    suffix = document.pop("tests_of")
    cells = [
        Cell(
            service=service,
            attack=attack,
            test=f"test_{attack}_{suffix.get(service, service)}",
            refused=frozenset(said.get("refused", ())),
            not_bound=said.get("not_bound", ""),
        )
        for service, row in document.items()
        for attack, said in row.items()
    ]
    return tuple(document), attacks, tuple(cells)


SERVICES, ATTACKS, CELLS = load()
BY_TEST: Final = {cell.test: cell for cell in CELLS}


@contextmanager
def watched(cell: Cell, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Notes what was refused meanwhile, and fails if that is not what the cell says."""
    seen: set[str] = set()
    patch.setattr(troth, "appraise", _noting(seen, troth.appraise))
    patch.setattr(pytest, "raises", _raising(seen, pytest.raises))
    yield
    if cell.refused and not seen & cell.refused:
        pytest.fail(f"{cell.test} saw {sorted(seen)}, and cells.toml says {sorted(cell.refused)}")


def _noting(seen: set[str], appraise: Callable[..., Report]) -> Callable[..., Report]:
    def noted(*arguments: Any, **named: Any) -> Report:
        report = appraise(*arguments, **named)
        if report.verdict is Verdict.MALFORMED:
            seen.add("malformed")
        seen.update(_wrong([c for one in _all(report) for c in one.checks]))
        return report

    return noted


def _raising(seen: set[str], raises: Callable[..., Any]) -> Callable[..., Any]:
    @contextmanager
    def noted(*arguments: Any, **named: Any) -> Iterator[Any]:
        with raises(*arguments, **named) as caught:
            yield caught
        error = caught.value
        if isinstance(error, AnswerRefused):
            seen.update(_wrong(error.checks))
        seen.update(_words(error))

    return noted


def _all(report: Report) -> tuple[Report, ...]:
    return report, *(part.report for part in report.parts)


def _wrong(checks: Any) -> set[str]:
    bad = (Outcome.FAILED, Outcome.UNDECIDED)
    found: tuple[Check, ...] = tuple(checks)
    return {check.code.id for check in found if check.outcome in bad}


def _words(error: BaseException) -> set[str]:
    kinds = {"malformed": Malformed, "unavailable": Unavailable}
    return {word for word, kind in kinds.items() if isinstance(error, kind)}
