"""Answers that are kept: one encoding only."""

from dataclasses import replace
from typing import Any

import pytest

from troth.channel import kept
from troth.errors import Malformed
from troth.wire import cbor

ANSWER = kept.KeptAnswer(
    service="aci",
    evidence=b"\1" * 32,
    request=b"\2" * 32,
    response=b"\3" * 32,
    model="m",
    endpoint="/v1/chat/completions",
    at=1_800_000_000,
    receipt=b"{}",
)


def test_there_and_back() -> None:
    data = kept.pack(ANSWER)
    assert kept.unpack(data) == ANSWER
    assert kept.pack(kept.unpack(data)) == data


def test_every_truncation_is_refused() -> None:
    data = kept.pack(ANSWER)
    for size in range(len(data)):
        with pytest.raises(Malformed):
            kept.unpack(data[:size])
    with pytest.raises(Malformed):
        kept.unpack(data + b"\0")


@pytest.mark.parametrize(
    ("name", "value"), [("at", "now"), ("receipt", "{}"), ("model", b"m"), ("schema", "x")]
)
def test_other_types_are_refused(name: str, value: Any) -> None:
    held = cbor.decode(kept.pack(ANSWER), field="test")
    with pytest.raises(Malformed):
        kept.unpack(cbor.encode(held | {name: value}))


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(Malformed):
        kept.unpack(kept.pack(replace(ANSWER, receipt=bytes(2 * 1024 * 1024))))
