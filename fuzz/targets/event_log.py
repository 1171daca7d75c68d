"""TCG event logs as firmware leaves them, their replay, and what is said of them."""

from collections.abc import Iterable

from tests.platforms.tdx.make_log import agent_entry, event, header, u16, u32, variable

from fuzz.target import Target, attempt, same
from fuzz.vectors import vectors
from troth.platforms.tdx import eventlog, events
from troth.wire import tcg


def _run(data: bytes) -> None:
    log = tcg.read(data)
    again = b"".join(_written(e) for e in log.events)
    begin = log.events[0].offset if log.events else len(data) - log.padding
    same(data[begin : len(data) - log.padding], again, "events written again")
    replayed = eventlog.replay(log)
    list(events.lines(replayed))
    events.command_lines(replayed)
    rtmr3 = replayed.registers["rtmr3"].hex()
    attempt(lambda _: events.secure_boot(replayed), data)
    attempt(lambda _: events.agent_entries(replayed, rtmr3=rtmr3), data)


def _written(found: tcg.Event) -> bytes:
    digests = b"".join(u16(number) + digest for number, digest in found.digests.items())
    count = u32(len(found.digests))
    head = u32(found.index) + u32(found.type) + count + digests
    return head + u32(len(found.data)) + found.data


def _seeds() -> Iterable[bytes]:
    yield header()
    yield header() + event(1, tcg.EV_SEPARATOR, bytes(4)) + b"\xff" * 8
    both = u16(0x0C) + b"\1" * 48 + u16(0x04) + b"\2" * 20
    other = header(((0x04, 20), (0x0C, 48)), vendor=b"troth")
    yield other + u32(3) + u32(0xD) + u32(2) + both + u32(2) + b"hi"
    secure = variable("SecureBoot", b"\1")
    yield (
        header()
        + event(1, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, secure)
        + event(1, tcg.EV_SEPARATOR, bytes(4))
        + event(3, tcg.EV_IPL, b"kernel_cmdline: quiet\0")
        + event(4, tcg.EV_EVENT_TAG, agent_entry(b"domain operation content"))
    )
    yield from vectors("tdx/eventlog/*ccel*.bin")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=64 * 1024,
    words=(b"Spec ID Event03\0", b"\x0c\0", b"\x04\0", b"\xff\xff\xff\xff", b"LEAA"),
)
