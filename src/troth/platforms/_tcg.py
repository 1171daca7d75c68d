"""What ties the events of a TCG log to registers? What TPMs and TDX have in common.

Each event extends one register: new = H(old ‖ digest). A log that replays to the registers of verified
evidence has true *digests* in true order. Whether an event's *payload* is true is another question, and
depends on the type: where the digest is over the payload it is hashed again here; where it is over
something the log does not hold (a program, ACPI tables, a kernel), the payload is only a label.

Sources: TCG PC Client Platform Firmware Profile 1.05, section 10.4 (what each type's digest is over);
EDK2's habit of hashing only the value of a boot variable, and its older one of hashing five zeros behind
the variable that vouched for a program; GRUB's of hashing a command without the
words put before it, with the final NUL (Fedora's and Anolis') or without (GRUB's own). Checked on real
logs of all of these.

Does not verify: the type of an event, the name of a boot variable and the words before a boot loader's
command are in no digest; whoever hands over the log may change them. Only `measured` was hashed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from troth.errors import Malformed
from troth.model.check import Check, failed, passed, undecided
from troth.model.codes import measurement as m
from troth.wire import efi, tcg

AAEL: Final = b"LEAA"  # the tag 0x4141454C as it lies in memory
_WHOLE: Final = frozenset(
    {
        tcg.EV_SEPARATOR,
        tcg.EV_ACTION,
        tcg.EV_S_CRTM_VERSION,
        tcg.EV_OMIT_BOOT_DEVICE_EVENTS,
        tcg.EV_EFI_VARIABLE_DRIVER_CONFIG,
        tcg.EV_EFI_VARIABLE_BOOT2,
        tcg.EV_EFI_GPT_EVENT,
        tcg.EV_EFI_ACTION,
    }
)
COMMAND_LINE: Final = (b"kernel_cmdline: ", b"grub_kernel_cmdline ")
_LOADER_WORDS: Final = (*COMMAND_LINE, b"grub_cmd: ", b"grub_cmd ", b"module_cmdline: ")


class Binding(StrEnum):
    """What ties an event's payload to the registers."""

    PAYLOAD = "payload"  # the digest was recomputed from the payload
    DIGEST = "digest"  # the digest is of something else: the payload is a label
    MISMATCH = "mismatch"  # the digest should be of the payload, and is not
    NOTHING = "nothing"  # the event extends no register


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedEvent:
    """An event and what came of it.

    Attributes:
        number: its place in the log, from 0.
        register: the register it names, such as `rtmr0`.
        type: number of its type; `tcg.type_name` has its name.
        digest: the bytes that were extended.
        payload: what the log says beside it.
        binding: what ties the payload to the digest.
        measured: the bytes whose hash is the digest, where they are known; else empty.
        name: the event's name where the log gives one (dstack), else empty.
    """

    number: int
    register: str
    type: int
    digest: bytes
    payload: bytes
    binding: Binding
    measured: bytes = b""
    name: str = ""

    @property
    def title(self) -> str:
        """The event's own name, in ASCII with everything else escaped, or that of its type."""
        return ascii(self.name)[1:-1] if self.name else tcg.type_name(self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A log, replayed.

    Attributes:
        registers: name to value as the log has it.
        events: every event in the log's order.
        algorithm: name of the hash that extends the registers.
    """

    registers: Mapping[str, bytes]
    events: tuple[ReplayedEvent, ...]
    algorithm: str = "sha384"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A register where evidence and log part ways; hex, `presented` empty if the evidence has none."""

    register: str
    presented: str
    replayed: str


def extend(
    start: Mapping[str, bytes], events: Iterable[ReplayedEvent], *, algorithm: str = "sha384"
) -> Replay:
    """Extends the registers, digest by digest, from what they hold at the start."""
    registers = dict(start)
    done = tuple(events)
    for event in done:
        if event.binding is not Binding.NOTHING:
            both = registers[event.register] + event.digest
            registers[event.register] = digest(algorithm, both)
    return Replay(registers=registers, events=done, algorithm=algorithm)


def digest(algorithm: str, data: bytes) -> bytes:
    """A hash by its name; SHA-1, too, of which old logs are made."""
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


def bind(
    kind: int, extended: bytes, payload: bytes, *, algorithm: str = "sha384"
) -> tuple[Binding, bytes]:
    """What ties a payload to a digest, and the bytes that were hashed if they are known.

    A payload whose hash is the digest is bound whatever its type; only where the type says that it
    must be is another one a mismatch.
    """
    if kind == tcg.EV_NO_ACTION:
        return Binding.NOTHING, b""
    candidates, must = _recipes(kind, payload)
    for candidate in candidates:
        if digest(algorithm, candidate) == extended:
            return Binding.PAYLOAD, candidate
    return (Binding.MISMATCH if must else Binding.DIGEST), b""


def compare(replayed: Replay, registers: Mapping[str, str]) -> tuple[Mismatch, ...]:
    """Where the replay and the evidence's registers (hex, as in `Claims.registers`) part ways.

    A register that the evidence does not carry is a mismatch, too.
    """
    return tuple(
        Mismatch(register=name, presented=registers.get(name, ""), replayed=value.hex())
        for name, value in replayed.registers.items()
        if registers.get(name, "") != value.hex()
    )


def checks(
    replayed: Replay,
    registers: Mapping[str, str],
    *,
    names: Iterable[str],
    source: str = "event log",
) -> tuple[Check, ...]:
    """The log's checks: M301 for each register, M302 for each event that contradicts itself.

    A register that is set and of which the log holds no event at all is undecided: such a log says
    nothing of it, true or false (a dstack log cut down to RTMR3; a CCEL log, which ends before it).

    Args:
        replayed: the log.
        registers: hex, of evidence that is checked elsewhere; this function doesn't.
        names: the registers about which the log is believed; leave one out only if it is pinned.
        source: the log's name for people.
    """
    wrong = {mismatch.register for mismatch in compare(replayed, registers)}
    extended = [e.register for e in replayed.events if e.binding is not Binding.NOTHING]
    result: list[Check] = []
    for name in names:
        outcome = passed if name not in wrong else failed if name in extended else undecided
        details = {
            "presented": registers.get(name, ""),
            "expected": replayed.registers[name].hex(),
            "source": source,
            "why": f"{extended.count(name)} events extend it in the log",
        }
        result.append(outcome(m.M301, name, **details))
    untrue = [event for event in replayed.events if event.binding is Binding.MISMATCH]
    result += [
        failed(
            m.M302,
            f"event {event.number}",
            presented=digest(replayed.algorithm, event.payload).hex(),
            expected=event.digest.hex(),
            source=source,
            why=f"{event.title} in {event.register}: its digest is of another payload",
        )
        for event in untrue
    ]
    if not untrue:
        why = f"{_count(replayed, Binding.PAYLOAD)} payloads recomputed, "
        why += f"{_count(replayed, Binding.DIGEST)} events bound by their digest only"
        result.append(passed(m.M302, "events", source=source, why=why))
    return tuple(result)


def secure_boot(replayed: Replay, register: str) -> bool | None:
    """Whether firmware measured Secure Boot as on; None if the log does not say so, bound and once.

    Only what the register holds before firmware's first separator counts, and that one is known by its
    digest: boot variables come behind it, have values of the host's choosing, and could be relabelled as
    others.

    Raises:
        Malformed: a variable's payload hashes to its digest and yet is none.
    """
    separator = digest(replayed.algorithm, bytes(4))
    found: list[bytes] = []
    for event in extending(replayed, register):
        if event.digest == separator:
            return found[0] == b"\1" if len(found) == 1 else None
        kind = event.type == tcg.EV_EFI_VARIABLE_DRIVER_CONFIG
        if kind and event.binding is Binding.PAYLOAD:
            variable = efi.variable(event.measured)
            if (variable.vendor, variable.name) == (efi.GLOBAL, "SecureBoot"):
                found.append(variable.data)
    return None


def extending(replayed: Replay, register: str) -> list[ReplayedEvent]:
    """The events that extend a register, in order."""
    return [
        event
        for event in replayed.events
        if event.register == register and event.binding is not Binding.NOTHING
    ]


def _recipes(kind: int, payload: bytes) -> tuple[tuple[bytes, ...], bool]:
    """What the digest of such an event may be over, and whether it must be one of these."""
    if kind == tcg.EV_EFI_VARIABLE_BOOT:
        try:
            return (efi.variable(payload).data, payload), True
        except Malformed:
            return (payload,), True
    if kind == tcg.EV_EVENT_TAG:
        return (payload,), payload.startswith(AAEL)
    if kind == tcg.EV_IPL:
        text = payload.partition(b"\0")[0]
        for words in _LOADER_WORDS:
            if text.startswith(words):
                command = text.removeprefix(words)
                return (command, command + b"\0"), True
    if kind == tcg.EV_EFI_VARIABLE_AUTHORITY:
        return (payload, payload[:-1]) if _is_overlong(payload) else (payload,), True
    return (payload,), kind in _WHOLE


def _is_overlong(payload: bytes) -> bool:
    """Whether a variable has what firmware of up to 2021 put behind it: five zeros and a stray byte.

    It took the size of its structure in C, padding included, for that of the structure's beginning. The
    zeros are hashed, the stray byte is not.
    """
    name, data = (int.from_bytes(payload[at : at + 8], "little") for at in (16, 24))
    end = 32 + 2 * name + data
    return len(payload) == end + 6 and not any(payload[end : end + 5])


def _count(replayed: Replay, binding: Binding) -> int:
    return sum(event.binding is binding for event in replayed.events)
