"""Help: every command shows its docstring, an example, and what each option means."""

import io
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cyclopts import App
from rich.console import Console

from troth.cli import main, release


def shown(*words: str, width: int = 80) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None, force_terminal=False)
    main.make_app().help_print(list(words), console=console)
    return text.getvalue()


def commands() -> Iterator[tuple[str, ...]]:
    app = main.make_app()
    for name, _, _ in main.COMMANDS:
        yield (name,)
        yield from ((name, word) for word in app[name] if not word.startswith("-"))


def of(words: tuple[str, ...]) -> App:
    app = main.make_app()
    for word in words:
        app = app[word]
    return app


EVERY = list(commands())
NOUNS = [("kernel",), ("policy",), ("release",), ("tlog",), ("trust",)]  # no options of their own


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_has_the_docstring_and_an_example(words: tuple[str, ...]) -> None:
    text = shown(*words, width=200)
    lines = text.splitlines()
    prose = of(words).help.partition("Args:")[0].strip().splitlines()
    flat = " ".join(text.split())
    for line in prose:
        assert " ".join(line.split()) in flat, "shortened"
    examples = [line for line in lines if line.startswith("  troth ")]
    assert examples, "an example"
    assert any(line.startswith(f"  troth {' '.join(words)}") for line in examples), "of its own"


@pytest.mark.parametrize("words", [words for words in EVERY if words not in NOUNS], ids=" ".join)
def test_every_option_is_described(words: tuple[str, ...]) -> None:
    app = of(words)
    for argument in app.assemble_argument_collection(parse_docstring=True):
        assert argument.parameter.help, argument.name


def test_an_example_is_never_broken_and_prose_is() -> None:
    lines = shown("verify", width=60).splitlines()
    assert any(line.startswith("  troth verify evidence.bin") and len(line) > 60 for line in lines)
    assert all(len(line) <= 60 for line in lines if line and not line.startswith("  troth "))


def test_the_list_has_one_line_for_each_command() -> None:
    lines = [" ".join(line.split()) for line in shown(width=96).splitlines()]
    for name, _, summary in main.COMMANDS:
        assert f"{name} {summary}" in lines


def test_what_a_release_may_be_is_told_with_one_line_for_each_command() -> None:
    flat = " ".join(shown("release").split())
    for name, _, summary in release.LATER:
        assert f" {name} {summary.rstrip('.')}" in flat
        says = " ".join(of(("release", name)).help.split())
        assert says.startswith(summary.rstrip(".")), "the docstring's own words"


@pytest.mark.parametrize(
    ("words", "commands"),
    [
        (["--help"], "[p.partition(':')[0] for _, p, _ in main.COMMANDS]"),
        (
            ["release", "--help"],
            "['troth.cli.' + m for _, m, _ in sys.modules['troth.cli.release'].LATER]",
        ),
    ],
)
def test_the_list_imports_no_command(words: list[str], commands: str) -> None:
    code = (
        f"import sys; from troth.cli import main; main.run({words}); "
        f"print([m for m in {commands} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "[]"
    assert "Commands:" in done.stdout
