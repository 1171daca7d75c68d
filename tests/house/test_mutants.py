"""The mutants: what they leave out or look at by name is there, so that a renamed module is not lost."""

import importlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "scripts"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("coverage")
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def test_every_name_stands_for_something(scripts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mutants = scripts("mutants")
    made = mutants.everything()
    reasons = tomllib.loads(mutants.REASONS.read_text("utf-8"))
    assert mutants.forgotten(made, reasons) == []
    monkeypatch.setattr(mutants, "CHECKS", ("policy/renamed.py",))
    monkeypatch.setattr(mutants, "LEFT_OUT", ("platforms/gone",))
    assert mutants.forgotten(made, {"nobody": "why"}) == [
        "no mutant has the name nobody",
        "no check is removed in policy/renamed.py",
        "no module is platforms/gone",
    ]


def test_a_survivor_without_a_reason_is_wrong(scripts: Any) -> None:
    mutants = scripts("mutants")
    made = mutants.everything()
    removed = next(mutant for mutant in made if mutant.kind == "removed")
    flipped = next(mutant for mutant in made if mutant.kind == "flip")
    assert mutants.judge(made, [], {}, whole=True) == []
    assert len(mutants.judge(made, [removed], {}, whole=False)) == 1
    assert mutants.judge(made, [flipped], {}, whole=True) == [f"without a reason: {flipped.name}"]
    assert (
        mutants.judge(made, [removed, flipped], {removed.name: "", flipped.name: ""}, whole=True)
        == []
    )
    most = [mutant for mutant in made if mutant.kind != "removed"]
    assert (
        "others survive"
        in mutants.judge(made, most, dict.fromkeys(m.name for m in most), whole=True)[-1]
    )


def test_what_was_caught_is_kept_until_it_changes(scripts: Any, tmp_path: Path) -> None:
    kept, make = scripts("mutants_kept"), scripts("mutants_make")
    for name in ("src/troth/a.py", "tests/test_a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    mutant = make.mutants("troth/a.py", "def f(a, b):\n    return a < b\n", checks=False)[0]
    file = tmp_path / "kept"
    caught = kept.Caught(("tests/test_a.py::test",))
    kept.Kept(file, tmp_path).add(mutant, caught)
    # A run that was killed may leave a line that is cut short.
    file.write_text(file.read_text() + json.dumps(["another", "digest", []])[:-5])
    assert kept.Kept(file, tmp_path).get(mutant) == caught
    (tmp_path / "tests/test_a.py").write_text("x = 2\n")
    assert kept.Kept(file, tmp_path).get(mutant) is None
    assert kept.Kept(None, tmp_path).get(mutant) is None


def test_what_ci_leaves_out_is_said(scripts: Any) -> None:
    """The sample of `.ci/run` is the one that is written down."""
    run = (REPOSITORY / ".ci" / "run").read_text("utf-8")
    ((others, removed),) = re.findall(r"mutants\.py .*--sample (\d+) --removed (\d+) ", run)
    said = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    assert f"a fixed sample of {removed} checks\nand breaks {others} other places" in said
    mutants = scripts("mutants")
    head, _, _ = mutants.page([], [], [], {}).partition("\n| kind ")
    assert mutants.PAGE.read_text("utf-8").startswith(head)
