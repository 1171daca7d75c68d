"""Every code that is written anywhere exists, is used, and has its page."""

import re
from pathlib import Path

import pytest

from troth.model.codes import TABLE, Code

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "src" / "troth"
LITERAL = re.compile(r"(?<![\w-])[FGRTMBPA][1-9]\d{2}(?!\w)")
CURVES = {"P256", "P384", "P521"}


def _read(path: Path) -> str:
    """The text without the linter's own codes, which look like ours."""
    return re.sub(r"#\s*noqa.*", "", path.read_text(encoding="utf-8"))


def _literals(path: Path) -> set[str]:
    return set(LITERAL.findall(_read(path))) - CURVES


USED = {
    code for path in SOURCE.rglob("*.py") if "codes" not in path.parts for code in _literals(path)
}


@pytest.mark.parametrize("folder", ["src", "docs", "examples", "scripts", "bench"])
def test_every_code_that_is_written_is_in_the_table(folder: str) -> None:
    files = [p for p in (REPOSITORY / folder).rglob("*") if p.suffix in (".py", ".md", ".toml")]
    unknown = {(str(p), code) for p in files for code in _literals(p) if code not in TABLE}
    assert not unknown


def test_every_code_that_the_readme_names_is_in_the_table() -> None:
    assert _literals(REPOSITORY / "README.md") <= set(TABLE)


def test_every_code_of_the_table_is_given_by_something() -> None:
    assert set(TABLE) - USED == set()


def test_slugs_are_as_unique_as_numbers() -> None:
    assert len({code.slug for code in TABLE.values()}) == len(TABLE)


@pytest.mark.parametrize("code", TABLE.values(), ids=lambda code: code.id)
def test_a_code_explains_itself(code: Code) -> None:
    assert LITERAL.fullmatch(code.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.slug)
    assert not code.title.endswith(".")
    assert code.title[0] == code.title[0].lower()
    assert len(code.meaning) > len(code.title)
    assert code.fix.endswith(".")


@pytest.mark.parametrize("code", TABLE.values(), ids=lambda code: code.id)
def test_a_code_has_its_page(code: Code) -> None:
    page = REPOSITORY / "docs" / "reference" / "codes" / f"{code.id}.md"
    assert page.is_file(), "make docs"
