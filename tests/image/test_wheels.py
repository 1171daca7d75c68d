"""Reading what pip says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.image.fetched import Why
from troth.image.wheels import parse_report, parse_trouble

SHA = "cd" * 32


def item(**over: Any) -> dict[str, Any]:
    value = {
        "download_info": {
            "url": "https://files.example/ab/Some_Thing-1.0-py3-none-any.whl#frag",
            "archive_info": {"hashes": {"sha256": SHA}},
        },
        "metadata": {"name": "Some_Thing", "version": "1.0"},
    }
    return value | over


def report(*items: Any) -> bytes:
    return json.dumps({"version": "1", "install": list(items)}).encode()


def test_a_report() -> None:
    (wheel,) = parse_report(report(item()))
    assert (wheel.name, wheel.version, wheel.size) == ("some-thing", "1.0", 0)
    assert (wheel.file, wheel.sha256) == ("Some_Thing-1.0-py3-none-any.whl", SHA)
    assert parse_report(report()) == ()


def source(url: Any, sha256: Any = SHA) -> dict[str, Any]:
    return {"url": url, "archive_info": {"hashes": {"sha256": sha256}}}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        item(metadata=None),
        item(metadata={"name": "x"}),
        item(download_info={"url": "https://files.example/x.whl", "archive_info": {}}),
        item(download_info={"url": "https://files.example/x.whl", "dir_info": {}}),
        item(download_info=source("https://files.example/x-1.tar.gz")),
        item(download_info=source("https://files.example/x%2f..%2f.whl")),
        item(download_info=source("https://files.example/..")),
        item(download_info=source("https://files.example/a%00b.whl")),
        item(download_info=source("https://[/x.whl")),
        item(download_info=source(7)),
        item(download_info=source("https://files.example/x-1.whl", "md5")),
        item(download_info=source("https://files.example/x-1.whl", None)),
    ],
)
def test_an_item_that_is_no_pinned_wheel_is_refused(entry: Any) -> None:
    with pytest.raises(Malformed, match="pip's report"):
        parse_report(report(entry))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"install":7}', b'{"install":[],"install":[]}']
)
def test_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_report(data)


@given(st.binary())
def test_junk_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_report(data)


OTHER = (
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have\n"
    "    x==1.0 from https://files.example/ab/x-1.0-py3-none-any.whl (from -r r.txt (line 1)):\n"
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("WARNING: Retrying after connection broken by 'x'\nERROR: No matching distribution", "unreachable"),
        ("ERROR: No matching distribution found for x==1.0", "gone"),
        ("ERROR: HTTP error 404 while getting https://files.example/x", "gone"),
        (OTHER, "altered"),
        (OTHER.replace("py3-none-any", "cp313-cp313-linux"), "gone"),
        ("", "unreachable"),
        ("ERROR: Could not install packages due to an OSError: No space left", "unreachable"),
    ],
)  # fmt: skip
def test_why_something_did_not_come(text: str, why: str) -> None:
    assert parse_trouble(text, files=["x-1.0-py3-none-any.whl"]).why is Why(why)
