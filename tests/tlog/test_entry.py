"""Entries: one form for each statement, and nothing half understood."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tlog.governed import (
    ANNA,
    BERT,
    announce,
    artifacts,
    change,
    freeze,
    release,
    revoke,
    signed,
)

from troth.errors import Malformed, Misuse
from troth.tlog import entry
from troth.tlog.entry import HEADER, NoEntry
from troth.tlog.statement import KeyRelease, Owners, Source, Statement
from troth.wire import json as strict

SAID = KeyRelease(
    app="auction",
    scope="app",
    generation=3,
    measurements={"nitro": {"pcr0": frozenset({"01" * 48})}},
    at=datetime(2026, 11, 26, 13, 20, tzinfo=UTC),
)
SOURCE = Source(git="https://git.example/auction", commit="0f" * 20, path="apps/auction")
EVERY: tuple[Statement, ...] = (
    release(),
    release({"nitro": {"pcr0": "01" * 48}, "tdx": {"mrtd": "02" * 48}}, source=SOURCE),
    artifacts(source=SOURCE),
    artifacts(files={"a.whl": "02" * 32, "vmlinuz-6.12.117-troth": "01" * 32}),
    freeze("keys"),
    revoke(release()),
    announce(ANNA, BERT),
    change(),
    SAID,
)


@pytest.mark.parametrize("says", EVERY, ids=lambda says: type(says).__name__)
def test_each_statement_reads_back(says: Statement) -> None:
    text = entry.text(says)
    assert text.count("\n") == 2
    assert entry.statement(text) == says
    found = entry.parse(signed(says, ANNA, BERT))
    assert (found.says, len(found.note.signatures)) == (says, 2)
    assert entry.draft(text.encode()) == (text, None)
    assert entry.draft(signed(says, ANNA))[0] == text


def test_its_name_is_of_what_was_signed_and_not_of_who_signed() -> None:
    copies = [signed(release(), *by) for by in ((ANNA,), (BERT, ANNA), (ANNA, BERT))]
    assert len({entry.parse(copy).id for copy in copies}) == 1
    assert entry.parse(signed(release(version="2"))).id != entry.parse(copies[0]).id


def _value(says: Statement) -> dict[str, Any]:
    found = json.loads(entry.text(says).removeprefix(HEADER))
    assert isinstance(found, dict)
    return found


def _text(value: Any) -> str:
    return f"{HEADER}{strict.canonical(value).decode()}\n"


@pytest.mark.parametrize("says", EVERY, ids=lambda says: type(says).__name__)
def test_a_key_more_or_less_is_not_understood(says: Statement) -> None:
    value = _value(says)
    for key in value:
        with pytest.raises(Malformed):
            entry.statement(_text({k: v for k, v in value.items() if k != key}))
    for more in ("also", "not_before"):
        with pytest.raises(Malformed):
            entry.statement(_text(value | {more: None}))
    for key in value:
        for other in (None, True, 1, -1, "", "x\u202e", [], {}, [[]], {"nitro": {}}):
            if other == value[key]:
                continue
            try:
                found = entry.statement(_text(value | {key: other}))
            except Malformed:
                continue
            assert (key, other) in {("source", None), ("generation", 1), ("threshold", 1)}, found


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        HEADER + "{}",
        HEADER + "{}\n",
        HEADER + "[]\n",
        HEADER + "{}\n{}\n",
        HEADER.replace("1", "2") + "{}\n",
        HEADER + '{"app":"auction","kind":"freeze","what":"code"} \n',
        HEADER + '{"kind":"freeze","app":"auction","what":"code"}\n',
        HEADER + '{"app":"auction","app":"auction","kind":"freeze","what":"code"}\n',
        HEADER + '{"app":"auction","kind":["freeze"],"what":"code"}\n',
        HEADER + '{"app":"Auction","kind":"freeze","what":"code"}\n',
        HEADER + '{"app":"auction","kind":"freeze","what":"time"}\n',
        HEADER + '{"app":"auction","kind":"freeze","what":["code"]}\n',
        HEADER + "[" * 5000 + "]" * 5000 + "\n",
    ],
)
def test_texts_of_another_form(text: str) -> None:
    with pytest.raises(Malformed):
        entry.statement(text)


@pytest.mark.parametrize(
    "registers",
    [
        {"nitro": {"pcr0": ["02" * 48, "01" * 48]}},
        {"nitro": {"pcr0": ["01" * 48, "01" * 48]}},
        {"nitro": {"pcr0": ["01" * 15]}},
        {"nitro": {"pcr0": ["AB" * 48]}},
        {"nitro": {"pcr0": "01" * 48}},
        {"nitro": {"pcr0": []}},
        {"nitro": {"pcr 0": ["01" * 48]}},
        {"nitro\n": {"pcr0": ["01" * 48]}},
        {"nitro": {"pcr0": [f"{n:096x}" for n in range(65)]}},
    ],
)
def test_measurements_of_another_form(registers: Any) -> None:
    with pytest.raises(Malformed):
        entry.statement(_text(_value(release()) | {"measurements": registers}))


@pytest.mark.parametrize(
    "files",
    [
        {},
        [],
        None,
        {"": "1a" * 32},
        {"a/b": "1a" * 32},
        {"..": "1a" * 32},
        {".hidden": "1a" * 32},
        {"a b": "1a" * 32},
        {"a\n": "1a" * 32},
        {"ä.whl": "1a" * 32},
        {"a" * 129: "1a" * 32},
        {"a.whl": "1a" * 31},
        {"a.whl": "1A" * 32},
        {"a.whl": ["1a" * 32]},
        {"a.whl": None},
        {"a.whl": {"sha256": "1a" * 32}},
        {f"{n}.whl": "1a" * 32 for n in range(101)},
    ],
)
def test_files_of_another_form(files: Any) -> None:
    with pytest.raises(Malformed):
        entry.statement(_text(_value(artifacts()) | {"files": files}))


def test_what_no_entry_can_say() -> None:
    twice = str(ANNA.verifier)
    for says in (
        release(version="a\nb"),
        release(app="no app"),
        release(lock_sha256="0"),
        artifacts(files={}),
        artifacts(files={"../a": "1a" * 32}),
        artifacts(sbom_sha256=""),
        freeze("time"),
        Owners(app="auction", keys=(twice, twice), threshold=2),
        Owners(app="auction", keys=(twice, str(BERT.verifier)), threshold=1),
        Owners(app="auction", keys=(), threshold=0),
    ):
        with pytest.raises(Misuse):
            entry.text(says)


def test_bytes_of_another_kind_are_no_entry() -> None:
    for data in (b"", b"x", signed(freeze())[1:], HEADER.encode()[:-1]):
        with pytest.raises(NoEntry):
            entry.parse(data)
    with pytest.raises(Malformed) as error:
        entry.parse(entry.text(freeze()).encode())
    assert not isinstance(error.value, NoEntry)


@given(data=st.binary(max_size=200), cut=st.integers(0, 400), bit=st.integers(0, 8000))
def test_hostile_bytes_are_malformed_or_the_same(data: bytes, cut: int, bit: int) -> None:
    good = signed(freeze())
    flipped = bytearray(good)
    flipped[bit // 8 % len(good)] ^= 1 << bit % 8
    for bad in (data, HEADER.encode() + data, good[:cut], good + data, bytes(flipped)):
        for read in (entry.parse, entry.draft):
            try:
                read(bad)
            except Malformed:
                continue
