"""Versioned attestations: both forms say the same, and whatever is cut or changed is not one."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.channel.services.simulate import dstack as simulated
from troth.channel.services.simulate.dstack_guest import DstackGuest
from troth.errors import Malformed
from troth.platforms.tdx import dstack, dstack_attestation
from troth.wire import scale

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DATA = bytes(range(64))
GUEST = DstackGuest.create(NOW, form=3)
QUOTE = GUEST.quote(DATA)
RUNTIME = [entry for entry in GUEST.entries if entry["imr"] == 3]
V0 = simulated.version_0(QUOTE, list(GUEST.entries), DATA)
V1 = simulated.version_1(GUEST, QUOTE, list(GUEST.entries), DATA)


@pytest.mark.parametrize("data", [V0, V1])
def test_both_versions_say_the_same(data: bytes) -> None:
    found = dstack_attestation.read(data)
    assert (found.kind, found.evidence, found.report_data) == ("tdx", QUOTE, DATA)
    assert found.config == "{}" and found.log is not None
    register = GUEST.registers["rtmr3"]
    assert dstack.replay(found.log).registers["rtmr3"] == register
    assert {entry["imr"] for entry in json.loads(found.log)} == {3}
    assert dstack.identity(dstack.replay(found.log), rtmr3=register.hex()).ready


def test_only_the_newer_one_brings_the_document() -> None:
    assert dstack_attestation.read(V0).document is None
    assert dstack_attestation.read(V1).document == GUEST.document


def test_events_without_a_log_stand_for_it() -> None:
    bare = simulated.version_0(QUOTE, [], DATA)
    assert dstack_attestation.read(bare).log == b"[]"
    runtime = [{"event": e["event"], "payload": bytes.fromhex(e["event_payload"])} for e in RUNTIME]
    stack = {"report_data": DATA, "runtime_events": runtime, "config": "{}"}
    machine = {"quote": QUOTE, "event_log": []}
    whole = {
        "version": 1,
        "platform": {"kind": "tdx", "data": machine},
        "stack": {"kind": "dstack-pod", "data": stack},
    }
    found = dstack_attestation.read(simulated.packed(whole))
    assert found.log is not None
    assert dstack.replay(found.log).registers["rtmr3"] == GUEST.registers["rtmr3"]
    other = {"kind": "sev-snp", "data": {"report": bytes(8), "mr_config": "{}"}}
    snp = dstack_attestation.read(simulated.packed(whole | {"platform": other}))
    assert (snp.kind, snp.evidence, snp.log, snp.document) == ("sev-snp", bytes(8), None, b"{}")


@pytest.mark.parametrize("data", [V0, V1])
def test_every_truncation_and_what_follows(data: bytes) -> None:
    for size in range(0, len(data), 7):
        with pytest.raises(Malformed):
            dstack_attestation.read(data[:size])
    with pytest.raises(Malformed):
        dstack_attestation.read(data + b"\0")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"version": 2},
        {"version": True},
        {"version": 1, "platform": {}, "stack": {}},
        {
            "version": 1,
            "platform": {"kind": "cca", "data": {}},
            "stack": {"kind": "dstack", "data": {}},
        },
        {
            "version": 1,
            "platform": {"kind": "tdx", "data": {}},
            "stack": {"kind": "dstack", "data": {}},
        },
        {"version": 1, "platform": {"kind": "tdx", "data": []}, "stack": {"kind": "x", "data": {}}},
        {
            "version": 1,
            "platform": {"kind": "tdx", "data": {"quote": [256]}},
            "stack": {"kind": "dstack", "data": {"report_data": [], "config": ""}},
        },
        {
            "version": 1,
            "platform": {"kind": "tdx", "data": {"quote": [1], "event_log": [1]}},
            "stack": {"kind": "dstack", "data": {"report_data": [], "config": ""}},
        },
    ],
)
def test_maps_that_are_no_attestation(value: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        dstack_attestation.read(simulated.packed(value))


def named(**changed: object) -> bytes:
    stack = {"report_data": DATA, "runtime_events": [], "config": "{}"}
    whole = {
        "version": 1,
        "platform": {"kind": "tdx", "data": {"quote": QUOTE, "event_log": []}},
        "stack": {"kind": "dstack", "data": stack | changed.pop("stack", {})},  # type: ignore[operator]
    }
    return simulated.packed(whole | changed)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x05", "no known version"),
        (b"\xff", "no known version"),
        (b"\xde\0\1", "no known version"),
        (named(version=2), "no known version"),
        (named(version=0), "no known version"),
        (named(stack={"config": 1}), "is not text"),
        (named(stack={"runtime_events": 1}), "is not an array"),
        (named(stack={"runtime_events": {}}), "is not an array"),
        (named(platform={"kind": 1, "data": {}}), "is not text"),
        (named(stack={"runtime_events": [{"event": 1, "payload": b""}]}), "is not text"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, words: str) -> None:
    assert dstack_attestation.read(named()).log == b"[]"
    with pytest.raises(Malformed, match=words):
        dstack_attestation.read(data)


def test_events_of_the_older_form_stand_for_a_log_without_rtmr3() -> None:
    booted = [entry for entry in GUEST.entries if entry["imr"] != 3]
    both = simulated.version_0(QUOTE, booted, DATA)
    assert dstack_attestation.read(both).log == b"[]"
    size = scale.number(len(RUNTIME)) + b"".join(
        scale.with_size(e["event"].encode()) + scale.with_size(bytes.fromhex(e["event_payload"]))
        for e in RUNTIME
    )
    # The list of runtime events is the empty one before REPORTDATA.
    at = both.index(DATA, len(QUOTE)) - 1
    assert both[at : at + 1] == b"\0"
    found = dstack_attestation.read(both[:at] + size + both[at + 1 :])
    assert found.log is not None
    assert dstack.replay(found.log).registers["rtmr3"] == GUEST.registers["rtmr3"]


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for head in (b"", b"\0\0", b"\x83"):
        try:
            dstack_attestation.read(head + data)
        except Malformed:
            pass


def test_other_kinds_of_machine_and_sizes() -> None:
    with pytest.raises(Malformed):
        dstack_attestation.read(b"\0\1" + V0[2:])
    with pytest.raises(Malformed):
        dstack_attestation.read(bytes(dstack_attestation.MAX + 1))
