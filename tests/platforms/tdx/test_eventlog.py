"""Replay: real logs reach the registers of their quotes, and no forged one is taken for true.

Changes that leave registers and checks alone, and why they can't matter: the first event's own fields
(which nothing extends), an event's *type*, the payload of an event bound by its digest only, and the
name beside a boot variable's value. None of them is in any digest; `ReplayedEvent.measured` has none of
them.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.tdx.make_log import agent_entry, event, header, replayed, sha384, variable

from troth.errors import Malformed
from troth.model.check import Outcome
from troth.platforms.tdx import eventlog, events
from troth.platforms.tdx.eventlog import Binding, Replay
from troth.wire import tcg

CCEL = {
    "google-cos113.ccel_data.bin": (31, 12),
    "dstack-ccel.bin": (12, 6),
    "trustee-aael-alibaba.ccel_data.bin": (74, 13),
    "trustee-grub.ccel_data.bin": (19, 18),
    "trustee-ovmf.ccel_data.bin": (12, 8),
}
ZERO = bytes(48)


def vector(vectors: Path, name: str) -> bytes:
    return (vectors / "tdx" / "eventlog" / name).read_bytes()


def of_quote(vectors: Path, name: str) -> dict[str, str]:
    """RTMR0 to RTMR3 in a version 4 quote: its body begins at 48, they at 328 in the body."""
    data = (vectors / "tdx" / name).read_bytes()
    return {f"rtmr{i}": data[48 + 328 + 48 * i :][:48].hex() for i in range(4)}


def outcomes(log: Replay, registers: dict[str, str]) -> list[str]:
    return [
        f"{c.code.id} {c.subject}"
        for c in eventlog.checks(log, registers)
        if c.outcome is not Outcome.PASSED
    ]


def registers_of(log: Replay) -> dict[str, str]:
    return {name: value.hex() for name, value in log.registers.items()}


def believed(log: Replay, registers: dict[str, str]) -> bool:
    return all(c.outcome is Outcome.PASSED for c in eventlog.checks(log, registers))


def test_google_log_replays_to_its_quote(vectors: Path) -> None:
    log = eventlog.replay(tcg.read(vector(vectors, "google-cos113.ccel_data.bin")))
    registers = of_quote(vectors, "gcp-cos113-v4.quote.bin")
    assert registers == of_quote(vectors, "pad8000-google-cos113.quote.bin")
    assert eventlog.compare(log, registers) == ()
    assert believed(log, registers)
    assert log.registers["rtmr3"] == ZERO and log.registers["rtmr2"] != ZERO


def test_log_of_another_boot_is_not_believed(vectors: Path) -> None:
    log = eventlog.replay(tcg.read(vector(vectors, "google-cos113.ccel_data.bin")))
    other = of_quote(vectors, "google-spr-e4-v4.quote.bin")
    assert [m.register for m in eventlog.compare(log, other)] == ["rtmr0", "rtmr1", "rtmr2"]
    found = eventlog.checks(log, other)
    assert [c.outcome for c in found] == 3 * [Outcome.FAILED] + 2 * [Outcome.PASSED]
    assert [c.why.split()[0] for c in found] == ["16", "7", "20", "0", "31"]
    assert "12 events bound by their digest only" in found[-1].why
    assert outcomes(log, other) == ["M301 rtmr0", "M301 rtmr1", "M301 rtmr2"]
    # The firmware of this one is that of another guest's quote, the kernel isn't, and it stops early.
    log = eventlog.replay(tcg.read(vector(vectors, "dstack-ccel.bin")))
    wrong = eventlog.compare(log, of_quote(vectors, "dstack-rtmr3-v4.quote.bin"))
    assert [m.register for m in wrong] == ["rtmr1", "rtmr2", "rtmr3"]


@pytest.mark.parametrize("name", CCEL)
def test_payloads_of_real_logs(vectors: Path, name: str) -> None:
    log = eventlog.replay(tcg.read(vector(vectors, name)))
    bindings = [e.binding for e in log.events]
    assert (bindings.count(Binding.PAYLOAD), bindings.count(Binding.DIGEST)) == CCEL[name]
    assert len(log.events) == sum(CCEL[name])
    for e in log.events:
        assert (sha384(e.measured) == e.digest) is (e.binding is Binding.PAYLOAD)


@pytest.mark.parametrize("name", ["trustee-ovmf", "trustee-grub"])
def test_real_logs_as_another_reader_has_them(vectors: Path, name: str) -> None:
    expected = json.loads(vector(vectors, f"{name}.expected.json"))["uefi_event_logs"]
    log = eventlog.replay(tcg.read(vector(vectors, f"{name}.ccel_data.bin")))
    assert len(expected) == len(log.events)
    for row, e in zip(expected, log.events, strict=True):
        assert e.register == f"rtmr{row['index'] - 1}"
        assert tcg.type_name(e.type) == row["type_name"]
        assert row["digests"] == [{"alg": "SHA-384", "digest": e.digest.hex()}]
        assert base64.b64decode(row["event"]) == e.payload
        assert row["digest_matches_event"] is (sha384(e.payload) == e.digest)
        if words := row["details"].get("string"):
            assert words in events.meaning(e)


def _nothing_covers(event_: tcg.Event, at: int, binding: Binding) -> bool:
    """Whether byte `at` of an event is one that no digest is over."""
    size = 12 + 2 + 48 + 4
    if at < size:
        return 4 <= at < 8
    if binding is Binding.DIGEST:
        return True
    # Of a boot variable only the value is hashed: 32 bytes of head and the name stand before it.
    value = 32 + 2 * int.from_bytes(event_.data[16:24], "little")
    return event_.type == tcg.EV_EFI_VARIABLE_BOOT and at - size < value


@pytest.mark.slow
def test_every_bit_counts(vectors: Path) -> None:
    data = vector(vectors, "dstack-ccel.bin")
    log = tcg.read(data)
    used = len(data) - log.padding
    good = eventlog.replay(log)
    registers = registers_of(good)
    data = data[: used + 8]
    for bit in range(8 * len(data)):
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        try:
            changed = eventlog.replay(tcg.read(bytes(bad)))
        except Malformed:
            continue
        if changed.registers != good.registers or not believed(changed, registers):
            continue
        at = bit // 8
        if at < log.events[0].offset:
            continue
        assert at < used
        number = max(n for n, e in enumerate(log.events) if e.offset <= at)
        touched = log.events[number]
        binding = good.events[number].binding
        assert _nothing_covers(touched, at - touched.offset, binding), (number, at - touched.offset)


@pytest.mark.parametrize("name", CCEL)
def test_events_dropped_doubled_or_swapped(vectors: Path, name: str) -> None:
    log = tcg.read(vector(vectors, name))
    registers = registers_of(eventlog.replay(log))
    assert believed(eventlog.replay(log), registers)

    def changed() -> Iterator[Sequence[tcg.Event]]:
        for n in range(len(log.events)):
            before, one, after = log.events[:n], log.events[n], log.events[n + 1 :]
            yield (*before, *after)
            yield (*before, one, one, *after)
            later = next((k for k, e in enumerate(after) if e.index == one.index), None)
            if later is not None and after[later].digests != one.digests:
                yield (*before, after[later], *after[:later], one, *after[later + 1 :])
            yield (*before, replace(one, index=one.index % 4 + 1), *after)

    for sequence in changed():
        assert not believed(eventlog.replay(replace(log, events=tuple(sequence))), registers)


@pytest.mark.parametrize("name", CCEL)
def test_payload_swapped_beside_a_true_digest(vectors: Path, name: str) -> None:
    log = tcg.read(vector(vectors, name))
    good = eventlog.replay(log)
    registers = registers_of(good)
    for n, e in enumerate(log.events):
        forged = {
            tcg.EV_IPL: e.data.partition(b":")[0] + b": evil\0",
            tcg.EV_EVENT_TAG: agent_entry(b"coco.com launch evil"),
            tcg.EV_EFI_VARIABLE_BOOT: variable("BootOrder", b"\xee\xee"),
        }.get(e.type, b"evil")
        if e.data.startswith((b"grub_cmd ", b"grub_kernel_cmdline ")):
            forged = e.data.split()[0] + b" evil\0"
        events_ = (*log.events[:n], replace(e, data=forged), *log.events[n + 1 :])
        changed = eventlog.replay(replace(log, events=events_))
        assert changed.registers == good.registers
        if good.events[n].binding is Binding.PAYLOAD:
            assert outcomes(changed, registers) == [f"M302 event {n}"]
            assert changed.events[n].measured == b""
        elif e.type != tcg.EV_EVENT_TAG:
            assert changed.events[n].binding is Binding.DIGEST


def test_what_is_not_extended() -> None:
    log = replayed(event(0, tcg.EV_NO_ACTION, b"x", ZERO), event(9, tcg.EV_NO_ACTION, b"y", ZERO))
    assert set(log.registers.values()) == {ZERO}
    assert [(e.register, e.binding) for e in log.events] == 2 * [("none", Binding.NOTHING)]


@pytest.mark.parametrize("index", [0, 5, 2**32 - 2])
def test_registers_that_no_event_extends(index: int) -> None:
    with pytest.raises(Malformed, match="measurement index"):
        replayed(event(index, tcg.EV_SEPARATOR, bytes(4)))


def test_log_without_sha384() -> None:
    with pytest.raises(Malformed, match="SHA-384"):
        eventlog.replay(tcg.read(header(((0x0B, 32),))))


def test_registers_the_evidence_lacks_are_mismatches() -> None:
    log = replayed()
    assert len(eventlog.compare(log, {})) == 4
    assert eventlog.compare(log, registers_of(log)) == ()
    assert not believed(log, {})


def test_a_log_that_is_silent_on_a_register_leaves_it_undecided() -> None:
    log = replayed(event(1, tcg.EV_SEPARATOR, bytes(4)), event(4, tcg.EV_NO_ACTION, b"", ZERO))
    registers = registers_of(log) | {"rtmr3": "11" * 48}
    found = {c.subject: c.outcome for c in eventlog.checks(log, registers)}
    assert found["rtmr3"] is Outcome.UNDECIDED
    assert found["rtmr0"] is found["rtmr1"] is found["events"] is Outcome.PASSED
    named = eventlog.checks(log, registers, names=("rtmr0",))
    assert [c.subject for c in named] == ["rtmr0", "events"]
    assert eventlog.missing("app-id").outcome is Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("kind", "payload", "hashed", "binding"),
    [
        (tcg.EV_SEPARATOR, bytes(4), bytes(4), Binding.PAYLOAD),
        (tcg.EV_SEPARATOR, bytes(4), b"\1\0\0\0", Binding.MISMATCH),
        (tcg.EV_SEPARATOR, b"", bytes(4), Binding.MISMATCH),
        (tcg.EV_EFI_ACTION, b"Exit", b"Exit", Binding.PAYLOAD),
        (tcg.EV_EFI_GPT_EVENT, b"EFI PART", b"EFI PARU", Binding.MISMATCH),
        (tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, variable("db", b"x"), b"x", Binding.MISMATCH),
        (tcg.EV_EFI_VARIABLE_BOOT, variable("Boot0000", b"x"), b"x", Binding.PAYLOAD),
        (tcg.EV_EFI_VARIABLE_BOOT, b"no variable", b"x", Binding.MISMATCH),
        (tcg.EV_IPL, b"grub_cmd: boot\0", b"boot", Binding.PAYLOAD),
        (tcg.EV_IPL, b"grub_cmd boot\0?", b"boot\0", Binding.PAYLOAD),
        (tcg.EV_IPL, b"kernel_cmdline: ro\0", b"ro", Binding.PAYLOAD),
        (tcg.EV_IPL, b"kernel_cmdline: rw\0", b"ro", Binding.MISMATCH),
        (tcg.EV_IPL, b"/boot/vmlinuz\0", b"kernel", Binding.DIGEST),
        (tcg.EV_EVENT_TAG, agent_entry(b"a b c"), agent_entry(b"a b d"), Binding.MISMATCH),
        (tcg.EV_EVENT_TAG, b"tag?\1\0\0\0x", b"initrd", Binding.DIGEST),
        (0x0000_000A, b"ACPI DATA", b"tables", Binding.DIGEST),
        (0x0000_000A, b"ACPI DATA", b"ACPI DATA", Binding.PAYLOAD),
        (0x1234_5678, b"", b"x", Binding.DIGEST),
    ],
)
def test_what_a_digest_is_over(kind: int, payload: bytes, hashed: bytes, binding: Binding) -> None:
    found = eventlog.bind(kind, sha384(hashed), payload)
    assert found == (binding, hashed if binding is Binding.PAYLOAD else b"")


@given(st.lists(st.tuples(st.integers(1, 4), st.binary(max_size=8)), max_size=12), st.data())
def test_the_same_registers_mean_the_same_digests(
    made: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    """Only events of different registers may change places."""
    log = replayed(*(event(index, 0xA, payload) for index, payload in made))
    mixed = data.draw(st.permutations(made))
    other = replayed(*(event(index, 0xA, payload) for index, payload in mixed))
    per_register = [
        [p for i, p in order if i == index] for order in (made, mixed) for index in range(5)
    ]
    assert (log.registers == other.registers) is (per_register[:5] == per_register[5:])
