"""New apps from templates, which are the examples."""

import os
from pathlib import Path

import pytest

from troth.cli.init import LANGUAGES
from troth.cli.main import run
from troth.image.recipe import load

ROOT = Path(__file__).parents[2]
LOCK = Path("troth.lock")
TEMPLATES = sorted(path.name for path in (ROOT / "src/troth/cli/templates").iterdir())
MADE = {"__pycache__", "bin", "image.tar", "target"}


def names_in(folder: Path) -> set[Path]:
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return {p for p in found if MADE.isdisjoint(p.parts)}


@pytest.mark.parametrize("template", ["hello", "shell", "auction"])
def test_a_new_app(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "my-app", "--template", template]) == 0
    assert names_in(tmp_path / "my-app") == names_in(ROOT / "examples" / template) - {LOCK}
    assert load(tmp_path / "my-app").name == "my-app"
    assert load(tmp_path / "my-app").kernel == "hardware"
    assert run(["init", "my-app"]) == 2
    assert run(["init", "My App"]) == 2


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_new_app_in_each_language(
    lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "my-app", "--lang", lang]) == 0
    example = "hello" if lang == "python" else f"hello-{lang}"
    assert names_in(Path("my-app")) == names_in(ROOT / "examples" / example) - {LOCK}
    assert load(Path("my-app")).name == "my-app"
    assert load(Path("my-app")).kernel == "hardware"
    script = Path("my-app", "compile")
    assert ("my-app/compile, then" in capsys.readouterr().out) == script.exists()
    for path in Path("my-app").rglob("*"):
        if path.is_file():
            assert os.access(path, os.X_OK) == path.read_bytes().startswith(b"#!"), path


@pytest.mark.parametrize(
    ("lang", "fix"),
    [
        ("golang", "did you mean --lang go?"),
        ("Rust", "did you mean --lang rust?"),
        ("nodejs", "did you mean --lang node?"),
        ("pyton", "did you mean --lang python?"),
        ("docker", "did you mean --lang oci?"),
        ("cobol", "choose python, node, go or rust; any other language comes as a container"),
        ("", "choose python"),
        ("../hello", "choose python"),
    ],
)
def test_a_language_that_there_is_not(
    lang: str,
    fix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "my-app", "--lang", lang]) == 2
    assert not Path("my-app").exists()
    told = capsys.readouterr().err
    assert f"there is no template in {lang!r}" in told
    assert fix in " ".join(told.split())


def test_a_template_in_another_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "my-app", "--lang", "go", "--template", "auction"]) == 2
    assert "the template auction is written in python, not in go" in capsys.readouterr().err
    assert run(["init", "my-app", "--lang", "python", "--template", "auction"]) == 0
    assert Path("my-app", "client.py").exists()


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_the_examples(template: str) -> None:
    ours = ROOT / "src" / "troth" / "cli" / "templates" / template
    example = ROOT / "examples" / template
    names = names_in(ours)
    assert names == names_in(example) - {LOCK}, "a lock is each app's own"
    for name in names:
        assert (ours / name).read_bytes() == (example / name).read_bytes(), name
