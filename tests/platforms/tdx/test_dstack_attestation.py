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
