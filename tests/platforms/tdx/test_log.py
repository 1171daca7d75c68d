"""Logs of either form: recognised, believed register by register, and read by name."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.platforms.tdx import make_log
from tests.platforms.tdx.make_dstack import HASH, boot, replayed, runtime, system

from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.claims import Claims
from troth.model.platform import Replayed
from troth.platforms.tdx import log
from troth.wire import tcg

ZERO = "00" * 48
SEPARATOR = make_log.event(1, tcg.EV_SEPARATOR, bytes(4))
SECURE = make_log.event(
    1, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, make_log.variable("SecureBoot", b"\1")
)
CCEL = make_log.header() + SECURE + SEPARATOR
ENTRIES = [boot(0), boot(1), boot(2), *system()]
DSTACK = json.dumps(ENTRIES).encode()


def claims(**registers: str) -> Claims:
    return Claims(
        platform="tdx",
        registers=dict.fromkeys(("rtmr0", "rtmr1", "rtmr2", "rtmr3"), ZERO) | registers,
        identity=(),
        debug=False,
        timestamp=None,
        instance="",
        nonce=None,
        user_data=None,
        public_key=None,
    )


def of(data: bytes) -> dict[str, str]:
    _, replay = log.read(data)
    return {name: value.hex() for name, value in replay.registers.items()}


def outcomes(found: Replayed) -> set[tuple[str, str]]:
    return {(c.code.id, c.outcome) for c in found.checks if c.outcome is not Outcome.PASSED}


def test_both_forms_are_recognised() -> None:
    assert log.read(CCEL)[0] == "CCEL"
    assert log.read(CCEL + b"\xff" * 99)[0] == "CCEL"
    assert log.read(DSTACK)[0] == log.read(b" \n" + DSTACK)[0] == "dstack"
    answer = json.dumps({"quote": "00", "event_log": DSTACK.decode()}).encode()
    assert log.read(answer)[0] == "dstack"
    for data in (CCEL, DSTACK, b"\n[]", b"CCEL"):
        assert log.looks_like(data)
    for data in (b"", b"{}", answer, b"\4\0\2\0" + bytes(60)):
        assert not log.looks_like(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"{}", b"[{}]", b"CCEL", b"\0" * 99, CCEL[:-1], b'{"quote": "", "event_log": ""}'],
)
def test_what_is_none_fails_and_says_nothing(data: bytes) -> None:
    with pytest.raises(Malformed):
        log.read(data)
    found = log.replay(claims(), data, ())
    assert outcomes(found) == {("M301", "failed")}
    assert not found.events and not found.covers
    assert found.checks[0].why


def test_the_table_that_points_to_a_log_is_told_from_it() -> None:
    with pytest.raises(Malformed, match="ACPI table") as caught:
        log.read(make_log.ccel_table())
    assert caught.value.fix and "tables/data/CCEL" in caught.value.fix


def test_secure_boot_of_a_log_that_replays() -> None:
    registers = of(CCEL)
    found = log.replay(claims(**registers), CCEL, ())
    assert outcomes(found) == set()
    assert found.events == {"secure_boot": "on"} and not found.covers
    other = log.replay(claims(**registers | {"rtmr0": "11" * 48}), CCEL, ())
    assert outcomes(other) == {("M301", "failed")} and not other.events
    # Another register that is wrong rejects it; what RTMR0 vouches for stays true.
    third = log.replay(claims(**registers | {"rtmr3": "11" * 48}), CCEL, ())
    assert outcomes(third) == {("M301", "undecided")} and third.events == found.events
    assert (
        outcomes(log.replay(claims(**registers | {"rtmr3": "11" * 48}), CCEL, ["rtmr3"])) == set()
    )


def test_a_pinned_register_with_events_must_fit() -> None:
    registers = of(DSTACK) | {"rtmr1": "11" * 48}
    found = log.replay(claims(**registers), DSTACK, ["rtmr0", "rtmr1", "rtmr2", "rtmr3"])
    assert outcomes(found) == {("M301", "failed")}


def test_a_payload_that_is_not_measured_makes_all_unbelievable() -> None:
    entries = [e | {"event_payload": "01"} if e["imr"] == 1 else e for e in ENTRIES]
    found = log.replay(claims(**of(DSTACK)), json.dumps(entries).encode(), ())
    assert outcomes(found) == {("M302", "failed")}
    assert not found.events and not found.covers


def test_names_and_values() -> None:
    found = log.replay(claims(**of(DSTACK)), DSTACK, ())
    assert found.events == {
        "app_id": HASH[:20].hex(),
        "compose_hash": HASH.hex(),
        "instance_id": "01" * 20,
        "os_image_hash": "02" * 32,
        "key_provider": "kms",
        "key_provider_id": "3059",
        "storage_fs": "zfs",
    }
    assert found.covers == {
        "rtmr3": (
            "compose_hash",
            "os_image_hash",
            "key_provider",
            "key_provider_id",
            "storage_fs",
        )
    }
    assert {c.source for c in found.checks} == {"dstack event log"}


@pytest.mark.parametrize("name", ["secure-boot", "key-provider-id"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    secure = boot(0, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, make_log.variable("SecureBoot", b"\1"))
    entries = [secure, boot(0), *system()[:-1], runtime(name, b"x"), system()[-1]]
    data = json.dumps(entries).encode()
    found = log.replay(claims(**of(data)), data, ())
    assert outcomes(found) == {("M305", "failed")}
    assert [c.code.id for c in found.checks] == ["M301"] * 4 + ["M302", "M305"]
    assert not found.events and not found.covers


@pytest.mark.parametrize(
    "changed",
    [
        system(until="key-provider"),
        [e for e in system() if e["event"] != "compose-hash"],
        [*system()[:-1], runtime("storage_fs2", b"x"), system()[-1]],
        [*system()[:-1], runtime("N", b"x"), system()[-1]],
        system(storage_fs=b"\n"),
        system(storage_fs=b"\xc3\xa9"),
    ],
)
def test_what_stands_for_nothing(changed: list[dict[str, Any]]) -> None:
    data = json.dumps(changed).encode()
    found = log.replay(claims(**of(data)), data, ())
    assert outcomes(found) == set()
    assert not found.covers


def test_the_version_is_found_where_it_is_not_told() -> None:
    second = {n: v.hex() for n, v in replayed(*ENTRIES, version=2).registers.items()}
    assert outcomes(log.replay(claims(**second), DSTACK, ())) == set()
    assert outcomes(log.replay(claims(**of(DSTACK)), DSTACK, ())) == set()
    colon = json.dumps([*ENTRIES, runtime("a:b")]).encode()  # only version 2 can hold it
    third = {n: v.hex() for n, v in replayed(*ENTRIES, runtime("a:b"), version=2).registers.items()}
    assert outcomes(log.replay(claims(**third), colon, ())) == set()


@settings(max_examples=200)
@given(st.data())
def test_any_change_of_a_log_is_noticed_or_changes_nothing(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([CCEL, DSTACK]))
    there = claims(**of(whole))
    good = log.replay(there, whole, ())
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    found = log.replay(there, bytes(changed), ())
    if not outcomes(found):  # an event's type, or a name in other letters that says nothing
        assert found.events.items() <= good.events.items()
        assert found.covers in (good.covers, {})


@given(st.binary(max_size=200))
def test_junk_never_raises(junk: bytes) -> None:
    for head in (b"", b"[", b"{", b"CCEL", CCEL[:60]):
        found = log.replay(claims(rtmr3="22" * 48), head + junk, ())
        assert outcomes(found)


def test_what_is_no_tpms_log() -> None:
    assert not log.of_tpm(b"[]")
    assert not log.of_tpm(bytes(64))
    sizes = {tcg.SHA1: 20, tcg.SHA256: 32, tcg.SHA384: 48}
    for algorithms, wanted in (
        ((tcg.SHA1,), True),
        ((tcg.SHA256,), True),
        ((tcg.SHA1, tcg.SHA256), True),
        ((tcg.SHA384,), False),
    ):
        assert log.of_tpm(make_log.header(tuple((a, sizes[a]) for a in algorithms))) is wanted
