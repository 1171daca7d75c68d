"""The page: whole, self-contained, escaped, readable without a script, and small."""

import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.platforms.nitro.forge import document, judge, policy
from tests.platforms.nitro.test_vectors import rows

import troth
from troth.cli.verify import html
from troth.render.html import report_html
from troth.render.markup import Html, join, tag

VOID = {"meta", "br", "hr", "wbr"}


class Page(HTMLParser):
    """Elements with their attributes, and proof that each is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def page() -> str:
    evidence, trusted = document()
    return html(judge(evidence, trusted), evidence, command="troth verify evidence.bin --at now")


def test_it_is_well_formed(page: str) -> None:
    made = Page(page)
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert len(made.all("h1")) == 1
    assert all(th.get("scope") for th in made.all("th"))
    assert [svg.get("role") for svg in made.all("svg")] == ["img"] * 5
    assert all(svg.get("aria-label") for svg in made.all("svg"))
    assert "troth verify evidence.bin --at now" in page


def test_it_loads_nothing_and_runs_nothing(page: str) -> None:
    made = Page(page)
    names = {name for name, _ in made.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    for _, attributes in made.elements:
        assert not [key for key in attributes if key.startswith("on") or key in ("style", "src")]
    assert all(str(a["href"]).startswith("data:application/octet-stream") for a in made.all("a"))
    assert "url(" not in page
    assert "@import" not in page


def test_the_policy_admits_its_own_style_alone(page: str) -> None:
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    told = [m["content"] for m in Page(page).all("meta") if "http-equiv" in m]
    assert told == [
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ]


def test_what_did_not_pass_is_open_and_the_rest_is_folded() -> None:
    evidence, trusted = document()
    good, bad = judge(evidence, trusted), judge(evidence, trusted, nonce=bytes(32))
    for report, opened in ((good, 0), (bad, 1)):
        folds = Page(report_html(report)).all("details")
        assert sum("open" in fold for fold in folds) == opened


def test_the_download_is_the_evidence_that_the_page_names() -> None:
    evidence, trusted = document()
    report = judge(evidence, trusted)
    made = Page(html(report, base64.b64encode(evidence)))
    encoded = str(made.all("a")[0]["href"]).partition("base64,")[2]
    assert hashlib.sha256(base64.b64decode(encoded)).hexdigest() == report.subject_sha256


def test_the_largest_real_documents_make_small_pages(vectors: Path) -> None:
    for name, data, at, _ in rows(vectors):
        for later in (timedelta(0), timedelta(days=2)):
            report = troth.appraise(
                data, policy=policy(), at=at + later, nonce=bytes(32), as_of=True
            )
            made = html(report, data, command=f"troth verify {name} --nonce {'00' * 32}")
            assert len(made.encode()) < 60_000, name
            Page(made)


def test_junk_has_its_page_too() -> None:
    evidence, trusted = document()
    for data in (b"", b"junk", evidence[:-1], bytes(16 * 1024)):
        made = html(judge(data, trusted), data)
        Page(made)
        assert "Malformed" in made


def test_text_is_escaped_unless_it_was_made_here() -> None:
    hostile = "<b onclick='x'>&\"\u202e"
    assert tag("p", hostile) == "<p>&lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;\\u202e</p>"
    assert tag("p", title=hostile) == (
        '<p title="&lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;\\u202e"></p>'
    )
    assert tag("p", tag("b", "x"), [tag("i", "y")]) == "<p><b>x</b><i>y</i></p>"
    assert join([Html("<hr>"), tag("br")]) == "<hr><br>"
    assert tag("details", open=True, hidden=False) == "<details open></details>"
    assert tag("div", cls="a", aria_label="b") == '<div class="a" aria-label="b"></div>'
