"""Which builds look up what earlier ones made: a plain `troth build`, and nothing that is to prove something."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from troth.cli import build as command
from troth.errors import Misuse
from troth.image import build as builder
from troth.image import check, memo
from troth.image.memo import Memo

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "tests" / "data" / "app"
PROOFS = [{"check": True}, {"source_git": "https://example.org/app.git"}, {"fresh": True}]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What the command asks of a build, which goes no further; a memo would have its place."""
    found: list[dict[str, Any]] = []

    def build(*_: object, **named: Any) -> None:
        found.append(named)
        raise Misuse("as far as this")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(builder, "build", build)
    monkeypatch.setattr(check, "build_twice", build)
    monkeypatch.setattr(command, "_source", lambda *_: {})
    return found


def test_a_plain_build_remembers(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(Misuse, match="as far as this"):
        command.build(SAMPLE)
    assert [named["memo"] for named in asked] == [Memo.of_user()]
    assert asked[0]["memo"] is not None


@pytest.mark.parametrize("how", PROOFS, ids=str)
def test_what_proves_looks_nothing_up(
    asked: list[dict[str, Any]], how: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(Misuse, match="as far as this"):
        command.build(SAMPLE, **how)
    assert [named.get("memo") for named in asked] == [None]
    assert not (tmp_path / "state").exists()


def _givers(path: Path) -> Iterator[str]:
    """Calls that make a memo, or hand one on to a build."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.rpartition(".")[0] == "Memo" or name == "Memo":
                yield "makes"
            if any(word.arg == "memo" for word in node.keywords):
                yield "hands on"


def test_nobody_else_has_one() -> None:
    """Neither rebuild, up, demo and run nor the program that they start: there is nothing to look in."""
    found = {
        (path.relative_to(REPOSITORY).as_posix(), what)
        for folder in ("src", "scripts")
        for path in (REPOSITORY / folder).rglob("*.py")
        for what in _givers(path)
    }
    makes = {path for path, what in found if what == "makes"}
    assert makes == {"src/troth/cli/build.py", "scripts/render_surface.py"}
    hands = {path.removeprefix("src/troth/image/") for path, what in found if what == "hands on"}
    assert hands - makes == {"build.py", "rootfs.py"}
    # And what is handed on begins with nobody's.
    assert memo.Memo.of_user() is None, "tests remember nothing"
