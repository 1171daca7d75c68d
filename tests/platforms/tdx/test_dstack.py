"""dstack's logs: real ones give the application's identity, and nobody in the guest can give another."""

import json
from pathlib import Path

import pytest
from tests.platforms.tdx.make_dstack import (
    COMPOSE,
    HASH,
    Entry,
    answer_of,
    boot,
    identity,
    registers_of,
    replayed,
    runtime,
    system,
)
from tests.platforms.tdx.make_log import sha384

from troth.errors import Malformed
from troth.model.check import Outcome
from troth.platforms.tdx import dstack, eventlog, events
from troth.platforms.tdx.eventlog import Binding

REAL = {
    "dstack-quote-report": "dstack-quote-report-v4",
    "dstack-rtmr3-report": "dstack-rtmr3-v4",
    "dstack-tdx-lite-getquote": "dstack-tdx-lite-v4",
}
LITE = "dstack-tdx-lite-getquote"


@pytest.mark.parametrize("name", REAL)
def test_real_answers_replay_to_their_quotes(vectors: Path, name: str) -> None:
    data = (vectors / "tdx" / "eventlog" / f"{name}.json").read_bytes()
    answer = dstack.read_answer(data)
    assert answer.quote.startswith((vectors / "tdx" / f"{REAL[name]}.quote.bin").read_bytes())
    registers = registers_of(answer.quote)
    assert eventlog.compare(answer.log, registers) == ()
    assert {c.outcome for c in eventlog.checks(answer.log, registers)} == {Outcome.PASSED}
    if answer.report_data:
        assert answer.report_data == answer.quote[48 + 520 : 48 + 584]
    found = dstack.identity(answer.log, rtmr3=registers["rtmr3"])
    assert found.ready and found.app_id_is_derived
    assert found.values["app-id"] == found.values["compose-hash"][:20]
    assert len(found.values["instance-id"]) == 20
    assert all(text.isprintable() for line in events.lines(answer.log) for text in line)


def test_what_real_answers_say(vectors: Path) -> None:
    found = {}
    for name in REAL:
        answer = dstack.read_answer(json.dumps(answer_of(vectors, name)))
        rtmr3 = registers_of(answer.quote)["rtmr3"]
        found[name] = dstack.identity(answer.log, rtmr3=rtmr3)
    first, second, lite = found.values()
    assert first.key_provider is not None and first.key_provider.name == "local-sgx"
    assert second.key_provider is not None and second.key_provider.name == "kms"
    assert [e.name for e in first.application] == ["LIUM_MINER_HOTKEY"]
    assert "LIUM_MINER_HOTKEY" not in first.values
    assert "rootfs-hash" in second.values and second.application == ()
    assert lite.values["storage-fs"] == b"zfs" and len(lite.values["os-image-hash"]) == 32


def test_config_id_of_a_real_quote(vectors: Path) -> None:
    answer = dstack.read_answer(json.dumps(answer_of(vectors, LITE)))
    found = dstack.identity(answer.log, rtmr3=registers_of(answer.quote)["rtmr3"])
    assert answer.quote[48 + 184 : 48 + 232] == dstack.config_id(found.values["compose-hash"])


@pytest.mark.parametrize("name", REAL)
def test_real_logs_with_events_changed(vectors: Path, name: str) -> None:
    answer = answer_of(vectors, name)
    registers = registers_of(bytes.fromhex(answer["quote"]))
    entries = json.loads(answer["event_log"])

    def believed(changed: list[Entry]) -> bool:
        try:
            log = replayed(*changed)
        except Malformed:
            return False
        passed = {c.outcome for c in eventlog.checks(log, registers)} == {Outcome.PASSED}
        return passed and bool(dstack.identity(log, rtmr3=registers["rtmr3"]).values)

    assert believed(entries)
    for n, entry in enumerate(entries):
        before, after = entries[:n], entries[n + 1 :]
        assert not believed([*before, *after])
        assert not believed([*before, entry, entry, *after])
        assert not believed([*before, entry | {"imr": (entry["imr"] + 1) % 4}, *after])
        if entry["digest"]:
            wrong = f"{int(entry['digest'], 16) ^ 1:096x}"
            assert not believed([*before, entry | {"digest": wrong}, *after])
        if entry["imr"] != 3:
            continue
        for changed in (
            {"event": "app-id", "event_payload": "ee" * 20},
            {"event_payload": entry["event_payload"] + "ee"},
            {"event": entry["event"] + "x"},
            {"digest": "", "event_payload": "ee" * 20},
            {"event_type": 4, "digest": sha384(b"x").hex()},
            {"version": 2},
        ):
            assert not believed([*before, entry | changed, *after])
        if after:
            assert not believed([*before, after[0], entry, *after[1:]])


def test_recorded_digest_must_be_the_payloads() -> None:
    good = runtime("app-id", HASH[:20], digest=dstack.digest("app-id", HASH[:20], 1).hex())
    assert replayed(good).events[0].binding is Binding.PAYLOAD
    log = replayed(good | {"event_payload": "ee" * 20})
    assert log.registers == replayed(good).registers
    assert log.events[0].binding is Binding.MISMATCH
    registers = {name: value.hex() for name, value in log.registers.items()}
    failed = [c for c in eventlog.checks(log, registers) if c.outcome is Outcome.FAILED]
    assert [c.code.id for c in failed] == ["M302"] and "app-id" in failed[0].why
    with pytest.raises(Malformed, match="not what was hashed"):
        dstack.identity(log, rtmr3=registers["rtmr3"])


def test_identity_needs_the_evidences_own_register() -> None:
    with pytest.raises(Malformed, match="RTMR3"):
        dstack.identity(replayed(*system()), rtmr3="00" * 48)


def test_digests_by_hand() -> None:
    assert dstack.digest("app-id", b"\xde\xad", 1) == sha384(b"\1\0\0\x08:app-id:\xde\xad")
    text = b'{"name":"compose-hash","payload":"abcd","type":134217729}'
    assert dstack.digest("compose-hash", b"\xab\xcd", 2) == sha384(text)
    odd = '{"name":"a\\"\\\\\\n\\u0001é🦀:","payload":"","type":134217729}'.encode()
    assert dstack.digest('a"\\\n\x01é🦀:', b"", 2) == sha384(odd)
    with pytest.raises(Malformed, match="colon"):
        dstack.digest("a:b", b"", 1)
    for version in (0, 3):
        with pytest.raises(Malformed, match="1 or 2"):
            dstack.digest("a", b"", version)


def test_version_2() -> None:
    two = [entry | {"version": 2} for entry in system()]
    outside = replayed(*system(), version=2)
    assert replayed(*two).registers == outside.registers
    assert replayed(*two).registers != replayed(*system()).registers
    assert identity(*two).values == identity(*system()).values
    # A recorded digest shows the version, which may be mixed.
    shown = [
        entry
        | {"digest": dstack.digest(entry["event"], bytes.fromhex(entry["event_payload"]), v).hex()}
        for entry, v in zip(system(), [1, 2] * 5, strict=False)
    ]
    assert {e.binding for e in replayed(*shown).events} == {Binding.PAYLOAD}
    named = replayed(*(entry | {"version": 1} for entry in shown))
    assert [e.binding for e in named.events[:2]] == [Binding.PAYLOAD, Binding.MISMATCH]
    # A colon reads in two ways in version 1 only.
    assert identity(*two, runtime("a:b", b"c", version=2)).application[0].name == "a:b"


def test_preimage_must_be_what_was_hashed() -> None:
    text = '{"name":"a","payload":"01","type":134217729}'
    for form in (text, text.encode().hex()):
        assert replayed(runtime("a", b"\1", version=2, preimage=form)).events[0].measured
    for wrong in (text + " ", "", 7, ["x"]):
        with pytest.raises(Malformed, match="preimage"):
            replayed(runtime("a", b"\1", version=2, preimage=wrong))


def test_name_with_a_colon_is_no_second_reading() -> None:
    """`app-id` with payload `x:…` and `app-id:x` with payload `…` have one digest in version 1."""
    one = dstack.digest("app-id", b"x:" + b"\1" * 18, 1).hex()
    entry = runtime("app-id:x", b"\1" * 18)
    assert replayed(entry | {"digest": one}).events[0].binding is Binding.MISMATCH
    for changed in ({}, {"version": 1}, {"version": 1, "digest": one}):
        with pytest.raises(Malformed, match="colon"):
            replayed(entry | changed)


def test_what_the_application_adds_is_its_own() -> None:
    evil = [
        runtime("app-id", b"\xee" * 20),
        runtime("key-provider", b"\xee"),
        runtime("mr-kms", b"\xee" * 32),
        runtime("boot-mr-done"),
        runtime("system-ready"),
    ]
    found = identity(*system(), *evil)
    assert found.values == identity(*system()).values
    assert found.values["app-id"] == HASH[:20] and "mr-kms" not in found.values
    assert found.key_provider == dstack.KeyProvider(name="kms", id="3059")
    assert [e.name for e in found.application] == [entry["event"] for entry in evil]
    assert not {"system-preparing", "boot-mr-done", "system-ready"} & set(found.values)


def test_a_guest_that_is_not_ready_has_said_only_what_came_before_its_mark() -> None:
    found = identity(*system(until="boot-mr-done"), runtime("os-image-hash", b"\xee" * 32))
    assert not found.ready and found.key_provider is None
    assert set(found.values) == {"app-id", "compose-hash", "instance-id"}
    assert [e.name for e in found.application] == ["os-image-hash"]


def test_a_guest_without_marks_has_said_nothing() -> None:
    found = identity(*system(until="instance-id"))
    assert found.values == {} and not found.ready and found.app_id_is_derived is None
    assert len(found.application) == 4


@pytest.mark.parametrize("place", range(1, 9))
def test_name_twice_before_the_guest_is_ready(place: int) -> None:
    entries = system()
    for n, entry in enumerate(entries[:place]):
        if n != 8:
            with pytest.raises(Malformed, match=r"twice|after"):
                identity(*entries[:place], entry, *entries[place:])


@pytest.mark.parametrize("name", ["app-id", "compose-hash", "instance-id", "rootfs-hash"])
def test_identity_after_its_mark(name: str) -> None:
    entries = [e for e in system() if e["event"] != name]
    place = next(n for n, e in enumerate(entries) if e["event"] == "boot-mr-done")
    entries.insert(place + 1, runtime(name, HASH[:20]))
    with pytest.raises(Malformed, match="after 'boot-mr-done'"):
        identity(*entries)


@pytest.mark.parametrize(
    "changed",
    [
        {"app_id": HASH},
        {"app_id": b""},
        {"compose_hash": HASH[:20]},
        {"instance_id": b"\1"},
        {"os_image_hash": b""},
        {"key_provider": b""},
        {"key_provider": b"[]"},
        {"key_provider": b'{"name":"kms"}'},
        {"key_provider": b'{"name":"kms","id":1}'},
        {"key_provider": b'{"name":"kms","id":"a","id":"b"}'},
        {"key_provider": b'{"name":"kms","id":"","more":""}'},
    ],
    ids=str,
)
def test_values_of_another_form(changed: dict[str, bytes]) -> None:
    with pytest.raises(Malformed):
        identity(*system(**changed))


def test_application_upgraded_and_without_instance() -> None:
    found = identity(*system(app_id=b"\7" * 20, instance_id=b""))
    assert found.app_id_is_derived is False
    assert found.values["instance-id"] == b""
    assert identity(*system()).app_id_is_derived is True


def test_compose_hash() -> None:
    assert dstack.compose_hash(COMPOSE) == HASH == identity(*system()).values["compose-hash"]
    assert dstack.compose_hash(COMPOSE + b"\n") != HASH


def test_lite_boot_events_are_bound_by_their_digest() -> None:
    full, lite = replayed(boot()), replayed(boot(event_payload=""))
    assert full.registers == lite.registers
    assert (full.events[0].binding, lite.events[0].binding) == (Binding.PAYLOAD, Binding.DIGEST)
    assert replayed(boot(event_payload="ff")).events[0].binding is Binding.MISMATCH
