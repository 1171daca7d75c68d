"""What events say: the facts that are given out are bound, and no word is a control character."""

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.tdx.make_log import agent_entry, event, replayed, sha384, variable

from troth.errors import Malformed
from troth.platforms.tdx import eventlog, events
from troth.platforms.tdx.eventlog import Binding, ReplayedEvent
from troth.wire import tcg


def vector(vectors: Path, name: str) -> bytes:
    return (vectors / "tdx" / "eventlog" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "on"), [("google-cos113", False), ("trustee-grub", True), ("trustee-ovmf", False)]
)
def test_secure_boot_of_real_logs(vectors: Path, name: str, on: bool) -> None:
    log = eventlog.replay(tcg.read(vector(vectors, f"{name}.ccel_data.bin")))
    assert events.secure_boot(log) is on


def test_command_line_of_a_real_log(vectors: Path) -> None:
    log = eventlog.replay(tcg.read(vector(vectors, "google-cos113.ccel_data.bin")))
    (line,) = events.command_lines(log)
    assert line.startswith(b"/syslinux/vmlinuz.A init=/usr/lib/systemd/systemd")


def test_agent_entries_of_a_real_log(vectors: Path) -> None:
    log = eventlog.replay(tcg.read(vector(vectors, "trustee-aael-alibaba.ccel_data.bin")))
    first, second = events.agent_entries(log, rtmr3=log.registers["rtmr3"].hex())
    assert (first.domain, first.operation) == ("coco.com", "some-operation")
    assert first.content == "some-content"
    assert json.loads(second.content) == {"key": "value", "nested-key": {"sub-key": "value"}}
    assert [e.register for e in log.events[-2:]] == ["rtmr3", "rtmr3"]
    (line,) = events.command_lines(log)
    assert line.startswith(b"(hd0,gpt3)/boot/vmlinuz-5.10.134")


def test_secure_boot_is_told_once_before_the_separator_and_by_uefis_own_variable() -> None:
    kind = tcg.EV_EFI_VARIABLE_DRIVER_CONFIG
    end = event(1, tcg.EV_SEPARATOR, bytes(4))
    on, off = variable("SecureBoot", b"\1"), variable("SecureBoot", b"\0")
    other = variable("SecureBoot", b"\1", vendor=uuid.UUID(int=1))

    def told(*made: bytes) -> bool | None:
        return events.secure_boot(replayed(*made))

    assert told(event(1, kind, on), end) is True
    assert told(event(1, kind, off), event(1, kind, other), end) is False
    assert told(event(1, kind, on), event(1, kind, off), end) is None
    assert told(event(2, kind, on), end) is None
    assert told(event(1, kind, on, sha384(off)), end) is None
    assert told(event(1, kind, on)) is None
    with pytest.raises(Malformed):
        told(event(1, kind, b"none"), end)


def test_boot_variable_of_the_hosts_relabelled_as_secure_boot() -> None:
    """A boot option's value may be anything, and only the value is hashed; so is no event's type."""
    on, off = variable("SecureBoot", b"\1"), variable("SecureBoot", b"\0")
    config, boot = tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, tcg.EV_EFI_VARIABLE_BOOT
    option = variable("Boot0001", on)
    true = (
        event(1, config, off),
        event(1, tcg.EV_SEPARATOR, bytes(4)),
        event(1, boot, option, sha384(on)),
    )
    forged = (
        event(1, 1, b"hidden", sha384(off)),
        event(1, 1, b"hidden", sha384(bytes(4))),
        event(1, config, on),
    )
    assert replayed(*true).registers == replayed(*forged).registers
    assert events.secure_boot(replayed(*true)) is False
    assert events.secure_boot(replayed(*forged)) is None


@pytest.mark.parametrize(
    "entry",
    [
        agent_entry(b"only two"),
        agent_entry(b" b c"),
        agent_entry(b"a  c"),
        agent_entry(b"a b \xff"),
        b"LEAA",
        b"LEAA\4\0\0\0a b c",
    ],
    ids=range(6),
)
def test_agent_entries_in_another_form(entry: bytes) -> None:
    log = replayed(event(4, tcg.EV_EVENT_TAG, entry))
    with pytest.raises(Malformed):
        events.agent_entries(log, rtmr3=log.registers["rtmr3"].hex())
    assert "agent's entry" in events.meaning(log.events[0])


def test_agent_entries_cannot_be_hidden() -> None:
    """An event's type is in no digest: an entry called another thing is an entry."""
    one, two = agent_entry(b"coco.com pull good"), agent_entry(b"coco.com pull evil")
    true = replayed(event(4, tcg.EV_EVENT_TAG, one), event(4, tcg.EV_EVENT_TAG, two))
    rtmr3 = true.registers["rtmr3"].hex()
    assert [e.content for e in events.agent_entries(true, rtmr3=rtmr3)] == ["good", "evil"]
    renamed = replayed(event(4, tcg.EV_EVENT_TAG, one), event(4, 1, two))
    assert len(events.agent_entries(renamed, rtmr3=rtmr3)) == 2
    first = event(4, tcg.EV_EVENT_TAG, one)
    for hidden in (
        event(4, 1, b"hidden", sha384(two)),
        event(4, tcg.EV_EVENT_TAG, one, sha384(two)),
        event(4, tcg.EV_NO_ACTION, two),
        event(3, tcg.EV_EVENT_TAG, two),
        b"",
    ):
        with pytest.raises(Malformed, match="RTMR3"):
            events.agent_entries(replayed(first, hidden), rtmr3=rtmr3)


def test_command_lines_that_are_not_bound_are_not_given_out() -> None:
    ipl = tcg.EV_IPL
    bound = event(3, ipl, b"kernel_cmdline: ro\0", sha384(b"ro"))
    assert events.command_lines(replayed(bound)) == (b"ro",)
    for other in (
        event(3, ipl, b"kernel_cmdline: ro\0", sha384(b"rw")),
        event(2, ipl, b"kernel_cmdline: ro\0", sha384(b"ro")),
        event(3, ipl, b"grub_cmd: ro\0", sha384(b"ro")),
        event(3, 0xA, b"kernel_cmdline: ro\0"),
    ):
        assert events.command_lines(replayed(other)) == ()


@pytest.mark.parametrize(
    ("kind", "payload", "words"),
    [
        (tcg.EV_EFI_VARIABLE_BOOT, variable("BootOrder", b"\1\0"), "BootOrder = 0100"),
        (tcg.EV_EFI_VARIABLE_BOOT, variable("db", b"x" * 33), "db = 33 bytes"),
        (tcg.EV_EFI_VARIABLE_BOOT, variable("db", b""), "db = empty"),
        (tcg.EV_IPL, b"grub_cmd boot\0junk", "grub_cmd boot"),
        (0xA, b"etc/acpi/rsdp\0\0\0", "etc/acpi/rsdp"),
        (0xA, b"two\0words", "74776f00776f726473"),
        (tcg.EV_SEPARATOR, bytes(4), "separator 00000000"),
        (tcg.EV_EVENT_TAG, b"\xec\x22;\x8f\5\0\0\0Linux", "tag 0x8f3b22ec Linux"),
        (tcg.EV_EVENT_TAG, agent_entry(b"a b c"), "a b c"),
        (tcg.EV_EFI_GPT_EVENT, b"EFI PART", "partition table of 8 bytes"),
        (tcg.EV_EFI_HANDOFF_TABLES2, b"\3Tdx\1\0", "Tdx"),
        (tcg.EV_EFI_HANDOFF_TABLES2, b"", ""),
    ],
)
def test_words(kind: int, payload: bytes, words: str) -> None:
    assert events.meaning(replayed(event(1, kind, payload)).events[0]) == words


def test_lines_hold_no_control_characters() -> None:
    nasty = b"kernel_cmdline: \x1b[2J\n\xe2\x80\xae\0"
    log = replayed(
        event(3, tcg.EV_IPL, nasty),
        event(1, tcg.EV_EFI_VARIABLE_BOOT, variable("\x1b\u202e", b"")),
        event(1, tcg.EV_EFI_BOOT_SERVICES_APPLICATION, b"short"),
        event(4, 0x999, b"\xff\xfe"),
        event(4, 0x999, b"x" * 9999),
    )
    named = replace(log.events[3], name="\x1b]0;\u202e")
    for name, text in events.lines(replace(log, events=(*log.events, named))):
        assert (name + text).isprintable()
        assert len(text) < 500
    assert isinstance(named, ReplayedEvent)


@given(st.integers(0, 2**32 - 1) | st.sampled_from(sorted(tcg.TYPES)), st.binary(max_size=120))
def test_any_payload_has_words(kind: int, payload: bytes) -> None:
    binding, measured = eventlog.bind(kind, sha384(b"other"), payload)
    assert binding is not Binding.PAYLOAD and measured == b""
    one = ReplayedEvent(
        number=0, register="rtmr0", type=kind, digest=bytes(48), payload=payload, binding=binding
    )
    assert events.meaning(one).isprintable()
