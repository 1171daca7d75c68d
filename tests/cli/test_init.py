"""New apps from templates, which are the examples."""

from pathlib import Path

import pytest

from troth.cli.main import run
from troth.image.recipe import load

ROOT = Path(__file__).parents[2]
LOCK = Path("troth.lock")


def names_in(folder: Path) -> set[Path]:
    found = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(folder) for p in found}


@pytest.mark.parametrize("template", ["hello", "shell", "auction"])
def test_a_new_app(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "my-app", "--template", template]) == 0
    assert names_in(tmp_path / "my-app") == names_in(ROOT / "examples" / template) - {LOCK}
    assert load(tmp_path / "my-app").name == "my-app"
    assert run(["init", "my-app"]) == 2
    assert run(["init", "My App"]) == 2


@pytest.mark.parametrize("template", ["hello", "shell", "auction"])
def test_templates_are_the_examples(template: str) -> None:
    ours = ROOT / "src" / "troth" / "cli" / "templates" / template
    example = ROOT / "examples" / template
    names = names_in(ours)
    assert names == names_in(example) - {LOCK}, "a lock is each app's own"
    for name in names:
        assert (ours / name).read_bytes() == (example / name).read_bytes(), name
