"""Answers of a dstack guest agent: the quote and its log come out, or it is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.platforms.tdx import carrier, format  # noqa: A004


def answer(**members: Any) -> bytes:
    return json.dumps({"quote": "0400", "event_log": "[]"} | members).encode()


def test_quote_and_log_come_out() -> None:
    found = carrier.open_answer(answer())
    assert found is not None
    assert (found.quote, found.log) == (b"\4\0", b"[]")
    assert carrier.log_in(b"\n " + answer()) == b"[]"
    assert carrier.log_in(answer(event_log=[{"imr": 3}])) == b'[{"imr": 3}]'
    assert carrier.log_in(answer(more=1, vm_config="{}")) == b"[]"


def test_an_empty_log_is_none() -> None:
    assert carrier.log_in(answer(event_log="")) is None
    assert carrier.log_in(answer(event_log=None)) == b"null"  # a log, and a malformed one
    assert carrier.log_in(answer(event_log="\ud800")) == b"\xed\xa0\x80"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"quote": "00"}',
        b'{"event_log": "[]"}',
        b'{"quote": "00", "quote": "00", "event_log": ""}',
        b'{"quote": "00", "event_log": 1.5}',
        b"x" + answer(),
        answer(more=" " * (4 << 20)),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    assert carrier.open_answer(data) is None
    assert carrier.log_in(data) is None
    assert format.unwrap(data) is None


@pytest.mark.parametrize("quote", [1, None, ["00"], "0", "zz", "00 00"])
def test_a_quote_that_is_none(quote: object) -> None:
    with pytest.raises(Malformed, match="quote"):
        carrier.open_answer(answer(quote=quote))


def test_another_platforms_quote_is_not_taken() -> None:
    assert format.unwrap(answer()) is None


@given(st.binary(max_size=100))
def test_junk_is_none_or_malformed(junk: bytes) -> None:
    for data in (junk, b"{" + junk, answer()[:-1] + junk):
        try:
            carrier.open_answer(data)
        except Malformed:
            pass
