"""Does an event log replay to RTMR0 to RTMR3, and what do its events say?

Each event extends one register: new = SHA-384(old ‖ digest), from 48 zero bytes. A log that replays
to the registers of a verified quote has true *digests* in true order. Whether an event's *payload* is
true is another question, and depends on the type: where the digest is over the payload it is hashed
again here; where it is over something the log does not hold (a program, ACPI tables, a kernel), the
payload is only a label.

Sources: TCG PC Client Platform Firmware Profile 1.05, section 10.4 (what each type's digest is over);
EDK2's habit of hashing only the value of a boot variable; GRUB's of hashing a command without the
words put before it, with the final NUL (Fedora's and Anolis') or without (GRUB's own). Checked on real
logs of all of these.

Does not verify: the type of an event, the name of a boot variable and the words before a boot loader's
command are in no digest; whoever hands over the log may change them. Only `measured` was hashed.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from troth.errors import Malformed
from troth.model.check import Check, failed, passed, undecided
from troth.model.codes import measurement as m
from troth.wire import efi, tcg

REGISTERS: Final = ("rtmr0", "rtmr1", "rtmr2", "rtmr3")
_ZERO: Final = bytes(48)
_AAEL: Final = b"LEAA"  # the tag 0x4141454C as it lies in memory
_WHOLE: Final = frozenset(
    {
        tcg.EV_SEPARATOR,
        tcg.EV_ACTION,
        tcg.EV_S_CRTM_VERSION,
        tcg.EV_OMIT_BOOT_DEVICE_EVENTS,
        tcg.EV_EFI_VARIABLE_DRIVER_CONFIG,
        tcg.EV_EFI_VARIABLE_BOOT2,
        tcg.EV_EFI_VARIABLE_AUTHORITY,
        tcg.EV_EFI_GPT_EVENT,
        tcg.EV_EFI_ACTION,
    }
)
_VARIABLES: Final = frozenset(
    {
        tcg.EV_EFI_VARIABLE_DRIVER_CONFIG,
        tcg.EV_EFI_VARIABLE_BOOT,
        tcg.EV_EFI_VARIABLE_BOOT2,
        tcg.EV_EFI_VARIABLE_AUTHORITY,
    }
)
_IMAGES: Final = frozenset(
    {
        tcg.EV_EFI_BOOT_SERVICES_APPLICATION,
        tcg.EV_EFI_BOOT_SERVICES_DRIVER,
        tcg.EV_EFI_RUNTIME_SERVICES_DRIVER,
    }
)
_COMMAND_LINE: Final = (b"kernel_cmdline: ", b"grub_kernel_cmdline ")
_LOADER_WORDS: Final = (*_COMMAND_LINE, b"grub_cmd: ", b"grub_cmd ", b"module_cmdline: ")
_SHOWN: Final = 160


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
        digest: the 48 bytes that were extended.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A log, replayed.

    Attributes:
        registers: `rtmr0` to `rtmr3`, 48 bytes each, as the log has them.
        events: every event in the log's order.
    """

    registers: Mapping[str, bytes]
    events: tuple[ReplayedEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A register where evidence and log part ways; hex, `presented` empty if the evidence has none."""

    register: str
    presented: str
    replayed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEntry:
    """An entry of the attestation agent's log (AAEL, Confidential Containers and Alibaba Cloud)."""

    domain: str
    operation: str
    content: str


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
    registers = dict.fromkeys(REGISTERS, _ZERO)
    done = tuple(events)
    for event in done:
        if event.binding is not Binding.NOTHING:
            both = registers[event.register] + event.digest
            registers[event.register] = hashlib.sha384(both).digest()
    return Replay(registers=registers, events=done)


def bind(kind: int, digest: bytes, payload: bytes) -> tuple[Binding, bytes]:
    """What ties a payload to a digest, and the bytes that were hashed if they are known.

    A payload whose hash is the digest is bound whatever its type; only where the type says that it
    must be is another one a mismatch.
    """
    if kind == tcg.EV_NO_ACTION:
        return Binding.NOTHING, b""
    candidates, must = _recipes(kind, payload)
    for candidate in candidates:
        if hashlib.sha384(candidate).digest() == digest:
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
    replayed: Replay, registers: Mapping[str, str], *, source: str = "event log"
) -> tuple[Check, ...]:
    """The log's checks: M301 for each register, M302 for each event that contradicts itself.

    Args:
        replayed: the log.
        registers: hex, of evidence that is checked elsewhere; this function doesn't.
        source: the log's name for people.
    """
    wrong = {mismatch.register: mismatch for mismatch in compare(replayed, registers)}
    result: list[Check] = []
    for name, value in replayed.registers.items():
        count = sum(
            e.register == name and e.binding is not Binding.NOTHING for e in replayed.events
        )
        details = {
            "presented": registers.get(name, ""),
            "expected": value.hex(),
            "source": source,
            "why": f"{count} events extend it in the log",
        }
        result.append((failed if name in wrong else passed)(m.M301, name, **details))
    untrue = [event for event in replayed.events if event.binding is Binding.MISMATCH]
    result += [
        failed(
            m.M302,
            f"event {event.number}",
            presented=hashlib.sha384(event.payload).hexdigest(),
            expected=event.digest.hex(),
            source=source,
            why=f"{title(event)} in {event.register}: its digest is of another payload",
        )
        for event in untrue
    ]
    if not untrue:
        why = f"{_count(replayed, Binding.PAYLOAD)} payloads recomputed, "
        why += f"{_count(replayed, Binding.DIGEST)} events bound by their digest only"
        result.append(passed(m.M302, "events", source=source, why=why))
    return tuple(result)


def missing(subject: str) -> Check:
    """The check of whoever asks what a log says and was given none; never passed."""
    return undecided(m.M303, subject, why="no event log was given")


def title(event: ReplayedEvent) -> str:
    """The event's own name or that of its type, escaped for a line of text."""
    return _text(event.name.encode()) if event.name else tcg.type_name(event.type)


def meaning(event: ReplayedEvent) -> str:
    """One line on what the payload says; for people, whether it is bound or not."""
    try:
        return _meaning(event.type, event.payload)
    except Malformed as error:
        return f"{error} ({event.payload[:_SHOWN].hex()})"


def lines(replayed: Replay) -> Iterator[tuple[str, str]]:
    """Every event as name and text, then the registers, for `inspect`; never a verdict."""
    words = {
        Binding.PAYLOAD: "recomputed from the payload",
        Binding.DIGEST: "digest only, the text is a label",
        Binding.MISMATCH: "PAYLOAD DOES NOT HASH TO THE DIGEST",
        Binding.NOTHING: "not extended",
    }
    for event in replayed.events:
        text = meaning(event)
        end = f" [{words[event.binding]}; {event.digest.hex()}]"
        yield f"event {event.number} {event.register} {title(event)}", text + end
    for name, value in replayed.registers.items():
        yield f"replayed {name}", value.hex()


def command_lines(replayed: Replay) -> tuple[str, ...]:
    """Kernel command lines that a boot loader measured into RTMR2, those recomputed only.

    Does not verify: which of the loader's commands it was; the words before it are in no digest.
    """
    return tuple(
        _text(event.measured, limit=None)
        for event in replayed.events
        if event.register == "rtmr2"
        and event.type == tcg.EV_IPL
        and event.binding is Binding.PAYLOAD
        and event.payload.startswith(_COMMAND_LINE)
    )


def secure_boot(replayed: Replay) -> bool | None:
    """Whether firmware measured Secure Boot as on; None if the log does not say so, bound and once.

    Raises:
        Malformed: a variable's payload hashes to its digest and yet is none.
    """
    variables = [
        efi.variable(event.payload)
        for event in replayed.events
        if event.register == "rtmr0"
        and event.type == tcg.EV_EFI_VARIABLE_DRIVER_CONFIG
        and event.binding is Binding.PAYLOAD
    ]
    found = [v.data for v in variables if (v.vendor, v.name) == (efi.GLOBAL, "SecureBoot")]
    return found[0] == b"\1" if len(found) == 1 else None


def agent_entries(replayed: Replay) -> tuple[AgentEntry, ...]:
    """The attestation agent's entries, in order, those recomputed only.

    Anything in the guest that reaches the agent may add entries: the first of a kind is not more true
    than a later one, and none says who wrote it.

    Raises:
        Malformed: an entry is not `domain operation content`.
    """
    return tuple(
        _agent_entry(event.payload)
        for event in replayed.events
        if event.type == tcg.EV_EVENT_TAG
        and event.payload.startswith(_AAEL)
        and event.binding is Binding.PAYLOAD
    )


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


def _recipes(kind: int, payload: bytes) -> tuple[tuple[bytes, ...], bool]:
    """What the digest of such an event may be over, and whether it must be one of these."""
    if kind == tcg.EV_EFI_VARIABLE_BOOT:
        try:
            return (efi.variable(payload).data, payload), True
        except Malformed:
            return (payload,), True
    if kind == tcg.EV_EVENT_TAG:
        return (payload,), payload.startswith(_AAEL)
    if kind == tcg.EV_IPL:
        text = payload.partition(b"\0")[0]
        for words in _LOADER_WORDS:
            if text.startswith(words):
                command = text.removeprefix(words)
                return (command, command + b"\0"), True
    return (payload,), kind in _WHOLE


def _count(replayed: Replay, binding: Binding) -> int:
    return sum(event.binding is binding for event in replayed.events)


def _meaning(kind: int, payload: bytes) -> str:
    if kind in _VARIABLES:
        found = efi.variable(payload)
        shown = found.data.hex() if len(found.data) <= 32 else f"{len(found.data)} bytes"
        return f"{_text(found.name.encode())} = {shown or 'empty'}"
    if kind in _IMAGES:
        image = efi.image(payload)
        path = "/".join(image.path) or "no path"
        return f"program of {image.size} bytes from {_text(path.encode())}"
    if kind == tcg.EV_SEPARATOR:
        return f"separator {payload[:_SHOWN].hex()}"
    if kind == tcg.EV_EFI_GPT_EVENT:
        return f"partition table of {len(payload)} bytes"
    if kind == tcg.EV_EVENT_TAG:
        if payload.startswith(_AAEL):
            entry = _agent_entry(payload)
            return _text(f"{entry.domain} {entry.operation} {entry.content}".encode())
        return f"tag 0x{int.from_bytes(payload[:4], 'little'):08x} {_text(payload[8:])}"
    if kind in (tcg.EV_EFI_PLATFORM_FIRMWARE_BLOB2, tcg.EV_EFI_HANDOFF_TABLES2) and payload:
        return _text(payload[1 : 1 + payload[0]])
    return _text(payload.partition(b"\0")[0] if kind == tcg.EV_IPL else payload)


def _agent_entry(payload: bytes) -> AgentEntry:
    """Tag u32, size u32, then `domain operation content` in UTF-8, split at its first two spaces."""
    body = payload[8:]
    if len(payload) < 8 or int.from_bytes(payload[4:8], "little") != len(body):
        raise Malformed("has another size than it says", field="agent's entry")
    try:
        parts = body.decode("utf-8").split(" ", 2)
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8", field="agent's entry") from None
    if len(parts) != 3 or not parts[0] or not parts[1]:
        raise Malformed("is not 'domain operation content'", field="agent's entry")
    return AgentEntry(domain=parts[0], operation=parts[1], content=parts[2])


def _text(data: bytes, *, limit: int | None = _SHOWN) -> str:
    """Text of a payload, a trailing NUL dropped, what is not printable escaped, cut for people."""
    body = data.removesuffix(b"\0")
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in body[:limit].decode("utf-8", "backslashreplace")
    )
    return shown if len(body[:limit]) == len(body) else shown + "…"
