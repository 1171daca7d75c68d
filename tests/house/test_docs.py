"""Documentation that can't lie: generated pages are up to date, and every link leads somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from troth.image.surface_words import KINDS

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
BESIDE = ("bench", "examples", "releases")
PAGES = [
    *DOCS.rglob("*.md"),
    *REPOSITORY.glob("*.md"),
    *(page for folder in BESIDE for page in (REPOSITORY / folder).rglob("*.md")),
]


@pytest.mark.parametrize("script", ["render_codes.py", "render_reference.py"])
def test_what_is_generated_is_up_to_date(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / script), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}run: make docs"


def test_every_link_leads_somewhere() -> None:
    dead = [
        (str(page.relative_to(REPOSITORY)), target)
        for page in PAGES
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not dead


def test_every_page_is_reached_from_the_front() -> None:
    front = DOCS / "README.md"
    seen, todo = {front}, [front]
    while todo:
        page = todo.pop()
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            found = (page.parent / target).resolve()
            if found.suffix == ".md" and found not in seen and found.is_file():
                seen.add(found)
                todo.append(found)
    assert set(DOCS.rglob("*.md")) - seen == set()


def test_what_a_native_agent_would_save_is_what_the_report_says() -> None:
    surface = (DOCS / "reference" / "surface.md").read_text(encoding="utf-8")
    report = surface.partition("<!-- surface of hello-rust:")[2].partition("<!-- end -->")[0]
    sizes = {
        what: float(size) for size, what in re.findall(r"\| \**([\d.]+)\** \| ([^|]+) \|", report)
    }
    spared = sum(sizes[KINDS[kind]] for kind in ("interpreter", "agent"))
    page = (DOCS / "concepts" / "a-native-agent.md").read_text(encoding="utf-8")
    assert f"{spared:.0f} of [its {sizes['all of it, unpacked']:.0f} megabytes]" in page
