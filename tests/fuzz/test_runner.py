"""What runs the targets: budgets, what is kept, and that a bug does not get past it."""

import random
import tempfile
from pathlib import Path

import pytest
from fuzz.mutate import mutant
from fuzz.store import Store
from fuzz.target import Target

from fuzz import __main__ as runner
from fuzz import native, own
from troth.errors import Malformed

SEED = b"troth 12345"


def _fussy(data: bytes) -> None:
    if not data.startswith(b"troth"):
        raise Malformed("is not ours", field="head", offset=0)
    if len(data) > 10 and data[6] > 0x7F:
        raise KeyError(data[6])


def _target(**changed: object) -> Target:
    return Target(
        **({"run": _fussy, "seeds": lambda: [SEED, SEED, bytes(99)], "longest": 40} | changed)
    )  # type: ignore[arg-type]


def test_mutants_are_drawn_again_from_the_same_seed_and_never_too_long() -> None:
    def drawn() -> list[bytes]:
        draw = random.Random(7)
        return [
            mutant(SEED, draw, others=[b"", SEED], words=[b"word" * 9], longest=32)
            for _ in range(3000)
        ]

    made = drawn()
    assert made == drawn()
    assert max(map(len, made)) == 32
    assert len(set(made)) > 1500
    assert mutant(b"", random.Random(1), others=[b""], words=[], longest=9) is not None


def test_a_bug_is_found_and_kept(tmp_path: Path) -> None:
    store = Store.of("fussy", tmp_path)
    run = own.fuzz(_target(), store, executions=100_000, draw=random.Random(1))
    assert isinstance(run.error, KeyError)
    assert run.executions < 100_000
    (kept,) = store.found()
    with pytest.raises(KeyError):
        _fussy(kept.read_bytes())
    assert str(kept) in run.error.__notes__[0]


def test_what_is_kept_is_tried_again(tmp_path: Path) -> None:
    store = Store.of("fussy", tmp_path)
    safe = _target(seeds=lambda: [b"troth"], longest=10)
    assert own.fuzz(safe, store, executions=300, draw=random.Random(1)).executions == 301
    assert store.kept(40)
    bug = b"troth \xff too long"
    store.keep(bug)
    run = own.fuzz(_target(), store, executions=0, draw=random.Random(1))
    assert isinstance(run.error, KeyError)
    assert store.kept(len(bug) - 1) == [one for one in store.kept(40) if one != bug]


def test_time_is_a_budget_too() -> None:
    run = own.fuzz(_target(seeds=lambda: [b"x"]), None, seconds=0.05, draw=random.Random(1))
    assert run.error is None
    assert run.executions > 1


def test_the_runner_counts_and_takes_up_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--engine", "own", "--seed", "1", "--folder", str(tmp_path), "--executions", "60"]
    names = ["--target", "cbor", "--target", "json_text"]
    assert runner.main([*asked, *names]) == 0
    first = Store.of("cbor", tmp_path).executions()
    assert 30 <= first < 60
    assert runner.main([*asked, *names]) == 0
    assert Store.of("cbor", tmp_path).executions() >= first + 30
    assert "0 of 2 targets have a new finding" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["--executions", "0"], ["--target", "nothing"], ["--seconds", "-1"]]
)
def test_nonsense_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        runner.main(wrong)
    assert left.value.code == 2


@pytest.mark.skipif(not native.there(), reason="atheris is not installed: requirements/fuzz.txt")
def test_libfuzzer_runs_a_target_and_leaves_nothing_but_its_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(aside))
    store = Store.of("recipe", tmp_path)
    run = native.fuzz("recipe", store, executions=150, seconds=None, seed=1)
    assert run.error is None
    assert run.executions == 150
    assert store.found() == []
    assert list(aside.iterdir()) == []
    with pytest.raises(native.Failed, match="No module named"):
        native.fuzz("no_such_target", store, executions=1, seconds=None, seed=1)
