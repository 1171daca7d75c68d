"""The matrix *service × attack*: no cell is empty, and each says something that is so.

That each cell's test sees the codes which the cell names is watched while it runs; see `cells.watched`.
"""

import ast
import functools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.channel import cells
from tests.channel.cells import CELLS, Cell

from troth.channel import services
from troth.channel.services.simulate.stages import STAGES
from troth.model import codes

TESTS = Path(__file__).parents[1]
ISSUE = (  # as the issue has them
    "another's evidence, old nonce, stripped GPU, GPU of another machine, key swapped, certificate swapped, "
    "receipt for another body, stream cut, downgrade of the binding, event-log payload changed with digests "
    "kept, compose changed"
)


@functools.cache
def named_tests() -> frozenset[str]:
    return frozenset(
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )


@functools.cache
def left_open(service: str) -> frozenset[str]:
    """What a service that is set up right leaves open, and what its protocol may in other forms."""
    with STAGES[service.replace("_", "-")](datetime.now(UTC)).serve() as server:
        asked = services.ask(server.url, services.SERVICES, seconds=20)
    assert asked.service.name == service.partition("_")[0]
    return frozenset(asked.found.not_bound) | frozenset(asked.service.not_bound)


def test_every_attack_of_the_issue_and_every_service_is_there() -> None:
    words = ISSUE.replace("'", "").replace("-", "_").lower()
    assert tuple(one.replace(" ", "_") for one in words.split(", ")) == cells.ATTACKS
    assert {one.replace("_", "-") for one in cells.SERVICES} == STAGES.keys()
    known = {one.name for one in services.SERVICES}
    assert {one.partition("_")[0] for one in cells.SERVICES} == known


def test_no_cell_is_empty() -> None:
    wanted = {(service, attack) for service in cells.SERVICES for attack in cells.ATTACKS}
    said = {(cell.service, cell.attack) for cell in CELLS if cell.refused or cell.not_bound}
    assert wanted == said
    assert len(CELLS) == len(wanted)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.test)
def test_a_cell_is_so(cell: Cell) -> None:
    assert cell.test in named_tests()
    assert {one for one in cell.refused if codes.find(one) is None} <= cells.WORDS
    if cell.not_bound:
        assert cell.not_bound in left_open(cell.service)


def test_what_is_open_and_refused_by_nothing() -> None:
    """Few, and each meant: a protocol without receipts, without a log, and a GPU that anybody may own."""
    open_ones = {(cell.attack, cell.service) for cell in CELLS if not cell.refused}
    unsigned = {one for attack, one in open_ones if attack == "receipt_for_another_body"}
    assert unsigned == set(cells.SERVICES) - {"aci", "phala", "oyster", "tinfoil_v2"}
    assert {one for one in open_ones if one[0] != "receipt_for_another_body"} == {
        ("gpu_of_another_machine", "phala"),
        ("event_log_payload_changed_with_digests_kept", "tinfoil_v2"),
        ("event_log_payload_changed_with_digests_kept", "tinfoil_v3"),
    }
