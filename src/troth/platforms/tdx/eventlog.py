"""Does an event log replay to RTMR0 to RTMR3?

Each event extends one register: new = SHA-384(old ‖ digest), from 48 zero bytes. What ties payloads to
digests is the same for all such logs: see `troth.platforms._tcg`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from troth.errors import Malformed
from troth.model.check import Check, undecided
from troth.model.codes import measurement as m
from troth.platforms import _tcg
from troth.platforms._tcg import (
    AAEL,
    COMMAND_LINE,
    Binding,
    Mismatch,
    Replay,
    ReplayedEvent,
    bind,
    compare,
)
from troth.wire import tcg

__all__ = [
    "AAEL",
    "COMMAND_LINE",
    "REGISTERS",
    "Binding",
    "Mismatch",
    "Replay",
    "ReplayedEvent",
    "bind",
    "checks",
    "compare",
    "extend",
    "missing",
    "replay",
]

REGISTERS: Final = ("rtmr0", "rtmr1", "rtmr2", "rtmr3")
_START: Final = dict.fromkeys(REGISTERS, bytes(48))


def replay(log: tcg.EventLog) -> Replay:
    """Replays a CCEL log: measurement index 1 to 4 are RTMR0 to RTMR3.

    Raises:
        Malformed: the log has no SHA-384, or an event would extend MRTD or a register TDX has not.
    """
    if tcg.SHA384 not in log.spec_id.algorithms:
        raise Malformed("has no SHA-384, the only hash of TDX", field="event log's algorithms")
    return extend(_of_ccel(number, event) for number, event in enumerate(log.events))


def extend(events: Iterable[ReplayedEvent]) -> Replay:
    """Extends the registers, digest by digest."""
    return _tcg.extend(_START, events)


def checks(
    replayed: Replay,
    registers: Mapping[str, str],
    *,
    names: Iterable[str] = REGISTERS,
    source: str = "event log",
) -> tuple[Check, ...]:
    """The log's checks, as `_tcg.checks` makes them."""
    return _tcg.checks(replayed, registers, names=names, source=source)


def missing(subject: str) -> Check:
    """The check of whoever asks what a log says and was given none; never passed."""
    return undecided(m.M303, subject, why="no event log was given")


def _of_ccel(number: int, event: tcg.Event) -> ReplayedEvent:
    digest = event.digests[tcg.SHA384]
    binding, measured = bind(event.type, digest, event.data)
    if binding is not Binding.NOTHING and not 1 <= event.index <= len(REGISTERS):
        raise Malformed(
            f"is {event.index}, should be 1 to 4 for RTMR0 to RTMR3",
            field="measurement index",
            offset=event.offset,
        )
    return ReplayedEvent(
        number=number,
        register=REGISTERS[event.index - 1] if 1 <= event.index <= len(REGISTERS) else "none",
        type=event.type,
        digest=digest,
        payload=event.data,
        binding=binding,
        measured=measured,
    )
