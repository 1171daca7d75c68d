"""dstack's logs and answers in another form are refused, by our errors only."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.tdx.make_dstack import (
    HASH,
    PROVIDER,
    answer_of,
    boot,
    identity,
    replayed,
    runtime,
    system,
)

from troth.errors import Malformed
from troth.platforms.tdx import dstack

LITE = "dstack-tdx-lite-getquote"
BAD: dict[str, Callable[[], Any]] = {
    "no array": dict,
    "no object": lambda: [[]],
    "runtime event in RTMR2": lambda: [runtime("a", imr=2)],
    "boot event in RTMR3": lambda: [boot(3)],
    "register 4": lambda: [boot(4)],
    "register -1": lambda: [boot(-1)],
    "register as text": lambda: [boot() | {"imr": "0"}],
    "register as truth": lambda: [boot() | {"imr": False}],
    "register as fraction": lambda: [boot() | {"imr": 0.0}],
    "type too large": lambda: [boot(kind=2**32)],
    "digest short": lambda: [boot(digest="00")],
    "digest long": lambda: [boot(digest="00" * 49)],
    "digest not hex": lambda: [boot(digest="zz" * 48)],
    "digest with prefix": lambda: [boot(digest="0x" + "00" * 47)],
    "digest null": lambda: [boot(digest=None)],
    "boot event without digest": lambda: [boot(digest="")],
    "boot event with version": lambda: [boot(version=1)],
    "boot event with preimage": lambda: [boot(preimage="")],
    "runtime digest short": lambda: [runtime("a", digest="00")],
    "version 0": lambda: [runtime("a", version=0)],
    "version 3": lambda: [runtime("a", version=3)],
    "version as truth": lambda: [runtime("a", version=True)],
    "name null": lambda: [runtime("a", event=None)],
    "name huge": lambda: [runtime("a" * 257)],
    "name with half a pair": lambda: [runtime("\ud800")],
    "payload odd": lambda: [runtime("a", event_payload="0")],
    "payload huge": lambda: [runtime("a", bytes(64 * 1024 + 1))],
    "payload number": lambda: [runtime("a", event_payload=0)],
    "unknown key": lambda: [runtime("a", more=1)],
    "missing key": lambda: [{k: v for k, v in runtime("a").items() if k != "event"}],
    "too many": lambda: 4097 * [runtime("a")],
}


@pytest.mark.parametrize("name", BAD)
def test_logs_of_another_form(name: str) -> None:
    log = json.dumps(BAD[name]())
    with pytest.raises(Malformed):
        dstack.replay(log)
    with pytest.raises(Malformed):
        dstack.read_answer(json.dumps({"quote": "00", "event_log": log}))


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"quote": "00"},
        {"event_log": []},
        {"quote": "0", "event_log": []},
        {"quote": None, "event_log": []},
        {"quote": "00" * 16385, "event_log": []},
        {"quote": "00", "event_log": None},
        {"quote": "00", "event_log": "["},
        {"quote": "00", "event_log": '"[]"'},
        {"quote": "00", "event_log": [], "report_data": "00" * 65},
        {"quote": "00", "event_log": [], "vm_config": {}},
    ],
    ids=range(11),
)
def test_answers_of_another_form(answer: Any) -> None:
    with pytest.raises(Malformed):
        dstack.read_answer(json.dumps(answer))


def test_answer_in_its_forms() -> None:
    for log in (system(), json.dumps(system())):
        answer = {"quote": "0400", "event_log": log, "hash_algorithm": "raw"}
        assert dstack.read_answer(json.dumps(answer)).log == replayed(*system())


def test_json_with_a_key_twice_or_cut_off(vectors: Path) -> None:
    text = json.dumps(answer_of(vectors, LITE))
    with pytest.raises(Malformed):
        dstack.read_answer(text[:-1] + ',"quote":"00"}')
    with pytest.raises(Malformed):
        dstack.replay('[{"imr":3,"imr":3}]')
    for size in range(0, len(text), 61):
        with pytest.raises(Malformed):
            dstack.read_answer(text[:size])


MARKS = ("boot-mr-done", "system-ready")
NAMES = st.sampled_from(
    ["app-id", "compose-hash", "boot-mr-done", "system-ready", "key-provider", "x"]
)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary().map(bytes.hex)
)
ENTRIES = st.fixed_dictionaries(
    {"imr": st.integers(0, 3), "event_type": st.sampled_from([4, dstack.RUNTIME])},
    optional=dict.fromkeys(
        ("digest", "event", "event_payload", "version", "preimage", "x"), VALUES
    ),
)


@given(st.lists(ENTRIES | VALUES, max_size=5) | VALUES)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        log = dstack.replay(json.dumps(value))
    except Malformed:
        return
    assert all(len(e.digest) == 48 for e in log.events)


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    for read in (dstack.replay, dstack.read_answer):
        try:
            read(text)
        except Malformed:
            pass


@given(
    st.lists(
        st.tuples(NAMES, st.sampled_from([b"", b"\1" * 20, b"\2" * 20, HASH, PROVIDER])), max_size=9
    )
)
def test_no_later_event_changes_an_identity(made: list[tuple[str, bytes]]) -> None:
    """Whatever is added to a guest that is ready, its identity stays."""
    added = [runtime(name, payload) for name, payload in made]
    before, after = identity(*system()), identity(*system(), *added)
    assert (before.values, before.key_provider) == (after.values, after.key_provider)
    assert len(after.application) == len(made)
    try:
        alone: Mapping[str, bytes] = identity(*added).values
    except Malformed:
        return
    names = [name for name, _ in made]
    for name, value in alone.items():
        assert value == dict(reversed(made))[name]
        assert names.index(name) < max(names.index(m) for m in names if m in MARKS)
