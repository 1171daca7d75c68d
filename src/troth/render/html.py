"""A report as one self-contained HTML file: a document, not an app; a verdict, not a grade.

It holds no script and loads nothing: the content security policy admits its own style sheet, by hash,
and nothing else. Everything presented is escaped by `markup.tag`.
"""

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from troth import _version
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.render import html_platform, words
from troth.render.certificates import CertificateRow
from troth.render.html_parts import (
    chain,
    checks,
    facts,
    hash_text,
    measurements,
    parts,
    releases,
    statements,
)
from troth.render.json import report_json
from troth.render.markup import Html, join, tag

_TONE: Final = {
    Verdict.ACCEPTED: "good",
    Verdict.REJECTED: "bad",
    Verdict.UNDECIDED: "open",
    Verdict.ACCEPTABLE_WITH_WAIVERS: "waived",
    Verdict.MALFORMED: "bad",
}
_HEX_LIMIT: Final = 768  # bytes of evidence shown as hex; the whole is in the download
_FIELD_LIMIT: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Appendix:
    """What a page can show beyond the report, all of it optional and none of it believed.

    Attributes:
        evidence: the presented bytes.
        certificates: the chain, leaf first.
        fields: name and value of each field, as `troth inspect` prints them.
        command: the command line that repeats this judgement.
    """

    evidence: bytes = b""
    certificates: Sequence[CertificateRow] = ()
    fields: Sequence[tuple[str, str]] = ()
    command: str = ""


def report_html(report: Report, appendix: Appendix | None = None) -> str:
    """The whole page.

    Args:
        report: what was judged.
        appendix: evidence, chain and command, where the caller has them.
    """
    extra = appendix or Appendix()
    style = files("troth.render").joinpath("page.css").read_text("utf-8").strip()
    _, word = words.VERDICTS[report.verdict]
    body = join(
        [
            tag("header", tag("b", "troth"), tag("span", "attestation report")),
            tag("main", _sections(report, extra), lang="en"),
            _footer(report),
        ]
    )
    head = join(
        [
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=_csp(style)),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("meta", name="robots", content="noindex"),
            tag("title", f"{word}: {report.subject} · troth"),
            Html(f"<style>{style}</style>"),
        ]
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _csp(style: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return Html(
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _sections(report: Report, extra: Appendix) -> Iterator[Html]:
    yield _band(report)
    yield _plain_words(report)
    if report.parts:
        yield tag("h2", "Parts, and what binds them")
        yield parts(report)
    if report.statements:
        yield tag("h2", "What is said of this service")
        yield statements(report)
    if report.governed is not None:
        yield tag("h2", "What the log of releases says")
        yield releases(report)
    for name, one in words.every(report):
        yield tag("h2", f"What was checked: {name}" if name else "What was checked")
        yield from checks(one)
    if report.presented is not None:
        yield tag("h2", "Measurements")
        yield measurements(report)
    if report.presented is not None and report.presented.events:
        yield tag("h2", "What the event log says")
        yield html_platform.events(report)
    if report.presented is not None and report.presented.tcb and report.presented.tcb.status:
        yield tag("h2", "How far the platform is behind")
        yield html_platform.table(report.presented.tcb)
    if extra.certificates:
        yield tag("h2", "Certificate chain")
        yield chain(report, extra.certificates)
    yield tag("h2", "What it was judged by")
    yield facts(report)
    if extra.command:
        yield tag("h2", "Check it yourself")
        yield tag("p", "Do not trust this page. This line repeats the judgement, offline:")
        yield tag("pre", tag("code", extra.command), cls="fold")
    yield tag("h2", "Raw")
    yield from _raw(report, extra)


def _band(report: Report) -> Html:
    sign, word = words.VERDICTS[report.verdict]
    ribbon = (
        tag(
            "p",
            "Development: a simulator signed this, and no hardware stands behind it",
            cls="ribbon",
        )
        if report.root_class is RootClass.DEVELOPMENT
        else Html("")
    )
    line = " · ".join(words.headline(report))
    inside = tag(
        "div",
        tag("span", sign, cls="sign", aria_hidden="true"),
        tag("h1", word.capitalize()),
        tag("p", tag("b", report.subject), tag("br"), line),
    )
    return tag("section", ribbon, inside, cls=f"band {_TONE[report.verdict]}", aria_label="Verdict")


def _plain_words(report: Report) -> Html:
    proved = words.proves(report) or ["Nothing: it was not accepted."]
    tone = "card" if report.verdict is Verdict.ACCEPTED else "card not"
    return join(
        [
            tag("h2", "In plain words"),
            tag(
                "div",
                tag("div", tag("h3", "What this proves"), _list(proved), cls=tone),
                tag(
                    "div",
                    tag("h3", "What it does not"),
                    _list(words.proves_not(report)),
                    cls="card not",
                ),
                cls="two",
            ),
        ]
    )


def _list(items: Sequence[str]) -> Html:
    return tag("ul", [tag("li", item) for item in items])


def _raw(report: Report, extra: Appendix) -> Iterator[Html]:
    if extra.fields:
        rows = [
            tag("tr", tag("th", name, scope="row"), tag("td", hash_text(value, limit=_FIELD_LIMIT)))
            for name, value in extra.fields
        ]
        yield _fold(
            "Fields of the evidence, as presented", tag("div", tag("table", rows), cls="scroll")
        )
    if extra.evidence:
        size = len(extra.evidence)
        cut = f", the first {_HEX_LIMIT} shown" if size > _HEX_LIMIT else ""
        download = Html(
            "data:application/octet-stream;base64," + base64.b64encode(extra.evidence).decode()
        )
        link = tag("a", f"Download the {size} bytes", href=download, download="evidence.bin")
        dump = tag("pre", tag("code", Html(_hex_rows(extra.evidence[:_HEX_LIMIT]))))
        yield _fold(f"Bytes ({size}{cut})", join([tag("p", link), dump]))
    # ASCII and line ends alone, so nothing here can act once the markup is escaped.
    document = Html(html.escape(report_json(report, indent=1), quote=False))
    yield _fold("Report as JSON", tag("pre", tag("code", document), cls="fold"))


def _fold(title: str, inside: Html) -> Html:
    return tag("details", tag("summary", tag("b", title)), tag("div", inside, cls="in"))


def _hex_rows(data: bytes) -> str:
    return "\n".join(
        f"{start:04x}  {data[start : start + 32].hex(' ', 4)}" for start in range(0, len(data), 32)
    )


def _footer(report: Report) -> Html:
    return tag(
        "footer",
        f"Made by troth {_version.__version__} at the instant of judgement {words.rfc3339(report.at)}. ",
        "Evidence can name the machine it comes from: look before you pass this page on.",
    )
