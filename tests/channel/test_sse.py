"""Events of a stream: cut anywhere, and the last of them held back."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.channel import sse
from troth.errors import Malformed

WHOLE = b'data: {"a":1}\n\n: ping\n\nevent: x\ndata: 1\ndata: 2\n\ndata: [DONE]\n\n'


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_events_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[a:b] for a, b in itertools.pairwise(places)]
    found = list(sse.events(pieces))
    assert b"".join(found) == WHOLE
    assert [sse.data(event) for event in found] == [b'{"a":1}', b"", b"1\n2", b"[DONE]"]


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_no_byte_is_lost(pieces: list[bytes]) -> None:
    assert b"".join(sse.events(pieces)) == b"".join(pieces)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_ends_of_lines(end: bytes) -> None:
    found = list(sse.events([b"data: 1" + end + b"data: 2" + end + b"data: 3"]))
    assert [sse.data(event) for event in found] == [b"1", b"2", b"3"]


def test_data_is_replaced_and_the_rest_kept() -> None:
    event = b"event: x\r\ndata: 1\r\ndata: 2\r\nid: 7\r\n\r\n"
    assert sse.with_data(event, b"new") == b"event: x\nid: 7\ndata: new\n\n"


def _shown(pieces: list[bytes], *, fails: bool = False) -> Iterator[bytes]:
    def check() -> None:
        if fails:
            raise LookupError

    return sse.held_back(sse.events(pieces), show=lambda event: event, check=check)


def test_nothing_from_the_end_mark_on_is_shown_before_the_check() -> None:
    assert b"".join(_shown([WHOLE, b"data: more\n\n"])) == WHOLE + b"data: more\n\n"
    for more in (b"", b"data: more\n\n", b"data: [DONE]\n\n", b"rest"):
        shown: list[bytes] = []
        with pytest.raises(LookupError):
            shown.extend(_shown([WHOLE, more], fails=True))
        assert b"DONE" not in b"".join(shown)
        assert b"more" not in b"".join(shown)


def test_the_newest_event_is_never_shown_before_the_check() -> None:
    shown: list[bytes] = []
    with pytest.raises(LookupError):
        shown.extend(_shown([b"data: 1\n\n", b"data: 2\n\n"], fails=True))
    assert shown == [b"data: 1\n\n"]
    assert list(_shown([])) == []


def test_streams_without_an_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 1000)
    with pytest.raises(Malformed):
        list(sse.events([b"data: ", b"x" * 2000]))
    with pytest.raises(Malformed):
        list(_shown([b"data: [DONE]\n\n", *[b"data: " + b"x" * 500 + b"\n\n"] * 10]))
