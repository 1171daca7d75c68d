"""What do the events of a log say, in words? For people, and for the few facts that policies ask.

Words here are only as true as the event's binding: see `eventlog.Binding`. What comes back from
`command_lines` and `secure_boot` is bound to the digests, and those to the registers if, and only if,
`eventlog.compare` finds no mismatch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.platforms import _tcg
from troth.platforms.tdx.eventlog import AAEL, COMMAND_LINE, Binding, Replay, ReplayedEvent
from troth.wire import efi, tcg

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
_SHOWN: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEntry:
    """An entry of the attestation agent's log (AAEL, Confidential Containers and Alibaba Cloud)."""

    domain: str
    operation: str
    content: str


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
        yield f"event {event.number} {event.register} {event.title}", text + end
    for name, value in replayed.registers.items():
        yield f"replayed {name}", value.hex()


def command_lines(replayed: Replay) -> tuple[bytes, ...]:
    """Kernel command lines that a boot loader measured into RTMR2, those recomputed only.

    Byte for byte as measured, but for the final NUL that some loaders hash, too.

    Does not verify: which of the loader's commands it was; the words before it are in no digest.
    """
    return tuple(
        event.measured.removesuffix(b"\0")
        for event in replayed.events
        if event.register == "rtmr2"
        and event.type == tcg.EV_IPL
        and event.binding is Binding.PAYLOAD
        and event.payload.startswith(COMMAND_LINE)
    )


def secure_boot(replayed: Replay) -> bool | None:
    """Whether firmware measured Secure Boot as on, into RTMR0; None if the log does not say so.

    Raises:
        Malformed: a variable's payload hashes to its digest and yet is none.
    """
    return _tcg.secure_boot(replayed, "rtmr0")


def agent_entries(replayed: Replay, *, rtmr3: str) -> tuple[AgentEntry, ...]:
    """The attestation agent's entries, in order; all that RTMR3 holds, so that none can be hidden.

    Anything in the guest that reaches the agent may add entries: the first of a kind is not more true
    than a later one, and none says who wrote it. An agent set up to use another register is not read.

    Args:
        replayed: a CCEL log with the agent's entries at its end.
        rtmr3: the register in the evidence, hex, as in `Claims.registers`.

    Raises:
        Malformed: the log does not replay to `rtmr3`; RTMR3 holds something that is no entry, or is not
            what was hashed.
    """
    if replayed.registers["rtmr3"].hex() != rtmr3:
        raise Malformed("does not replay to the evidence's RTMR3", field="event log")
    extending = _tcg.extending(replayed, "rtmr3")
    # An event's type is in no digest, so it is not asked for: all must be entries.
    if any(e.binding is not Binding.PAYLOAD or not e.measured.startswith(AAEL) for e in extending):
        raise Malformed("has an event in RTMR3 that is no entry of the agent's", field="event log")
    return tuple(_agent_entry(event.measured) for event in extending)


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
        if payload.startswith(AAEL):
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


def _text(data: bytes) -> str:
    """A payload as one printable line, NULs at its end dropped: hex if it is no text, cut for people."""
    body = data.rstrip(b"\0")
    try:
        text = body.decode("utf-8").replace("\n", "\\n").replace("\t", "\\t")
    except UnicodeDecodeError:
        text = body.hex()
    if not text.isprintable():
        text = body.hex()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
