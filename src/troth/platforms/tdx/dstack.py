"""What does a dstack event log say: which application, which composition, which key provider?

The guest agent hands out JSON, an array of `{imr, event_type, digest, event, event_payload}` with
`imr` 0 to 3 for RTMR0 to RTMR3. Boot events are those of the CCEL log. Runtime events (type
0x08000001, RTMR3 only) carry a name, and their digest is over it:

- version 1: SHA-384(type as u32 little-endian ‖ ":" ‖ name ‖ ":" ‖ payload). A name with a colon would
  read in two ways and is refused.
- version 2: SHA-384 of the RFC 8785 JSON `{"name", "payload": hex, "type"}`.

The version may stand in the event or outside the log; a recorded digest shows it too, since no bytes
are both. In the *lite* log runtime events have no digest and boot events no payload: the former is
computed, the latter bound by its digest only. Checked on real logs of all kinds but version 2, of
which no public one was at hand.

Whoever runs in the guest may add runtime events once the system is up. So an event counts only if it
comes before `system-ready` (before `boot-mr-done`, for what identifies the application), and before
that point no name may come twice. Whether the log is true at all is for the replay to show.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from troth.errors import Malformed
from troth.platforms.tdx import eventlog
from troth.platforms.tdx.eventlog import Binding, Replay, ReplayedEvent
from troth.wire import json
from troth.wire.text import from_hex

RUNTIME: Final = 0x0800_0001
_MAX_EVENTS: Final = 4096
_MAX_NAME: Final = 256
_MAX_PAYLOAD: Final = 64 * 1024
_MAX_QUOTE: Final = 16 * 1024
_NEEDED: Final = frozenset({"imr", "event_type", "event", "event_payload"})
_ALLOWED: Final = _NEEDED | {"digest", "version", "preimage"}
_IDENTITY_ENDS: Final = "boot-mr-done"
_SYSTEM_ENDS: Final = "system-ready"
_MARKS: Final = frozenset({"system-preparing", _IDENTITY_ENDS, _SYSTEM_ENDS})
# Names that say who the application is, and those the system adds until it is ready; allowed sizes.
_IDENTITY: Final[Mapping[str, tuple[int, ...]]] = {
    "app-id": (20,),
    "compose-hash": (32,),
    "instance-id": (0, 20),
    "rootfs-hash": (32,),
}
_SYSTEM: Final[Mapping[str, tuple[int, ...]]] = {"os-image-hash": (32,), "mr-kms": (32,)}
_APP_ID: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyProvider:
    """Who gives the application its keys.

    Attributes:
        name: its kind, such as `kms`, `local-sgx` or `none`.
        id: of the key service, as text: a public key in hex, or a measurement.
    """

    name: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the system measured before the application could add anything.

    As true as the RTMR3 that it was read against: verified evidence's, or nobody's.

    Attributes:
        values: name to payload, of `app-id`, `compose-hash`, `instance-id`, `os-image-hash` and so on.
        key_provider: read from `key-provider`, None if that was not measured.
        app_id_is_derived: whether the app-id is the first 20 bytes of the compose-hash, as it is for an
            application that was never upgraded; None if either is absent.
        ready: whether the log reaches `system-ready`; a quote made during boot does not.
        application: runtime events after that point, which anything in the guest may have made.
    """

    values: Mapping[str, bytes]
    key_provider: KeyProvider | None
    app_id_is_derived: bool | None
    ready: bool
    application: tuple[ReplayedEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A guest agent's answer to a request for a quote. Only `quote` is signed, and `log` through it.

    Attributes:
        quote: the TDX quote's bytes.
        log: the event log, replayed.
        report_data: what the answer says was asked for; the quote holds what counts. Maybe empty.
        vm_config: JSON text with which the boot measurements can be recomputed. Maybe empty.
    """

    quote: bytes
    log: Replay
    report_data: bytes
    vm_config: str


def replay(data: bytes | str, *, version: int = 1) -> Replay:
    """Reads a log strictly and replays it, every runtime event recomputed.

    Args:
        data: the JSON array.
        version: of runtime events that neither name theirs nor carry a digest.

    Raises:
        Malformed: another form, a runtime event outside RTMR3, another kind of event inside it.
    """
    return _replay(json.parse(data, field="event log"), version)


def read_answer(data: bytes | str, *, version: int = 1) -> Answer:
    """Reads a guest agent's answer: `quote` in hex, `event_log` as text or array, and more.

    Keys that are not known are passed over: nothing signs this envelope.

    Raises:
        Malformed: not such an answer, or its log is none.
    """
    answer = json.parse(data, field="answer")
    if not isinstance(answer, dict) or not {"quote", "event_log"} <= set(answer):
        raise Malformed("is not an object with 'quote' and 'event_log'", field="answer")
    log = answer["event_log"]
    if isinstance(log, str):
        log = json.parse(log, field="event log")
    return Answer(
        quote=_hex(answer["quote"], "quote", _MAX_QUOTE),
        log=_replay(log, version),
        report_data=_hex(answer.get("report_data", ""), "report_data", 64),
        vm_config=_string(answer.get("vm_config", ""), "vm_config", _MAX_PAYLOAD),
    )


def identity(replayed: Replay, *, rtmr3: str) -> Identity:
    """What the system measured about itself and the application.

    A log without `system-ready` is trusted up to `boot-mr-done`; without either mark, not at all.

    Args:
        replayed: a dstack log.
        rtmr3: the register in the evidence, hex, as in `Claims.registers`.

    Raises:
        Malformed: the log does not replay to `rtmr3`, or a payload is not what was hashed; a name comes
            twice before its mark, or after it; a value has another size.

    Does not verify: that the guest is dstack's. An image that sets no marks lets its application set
    them, and say anything before: pin the boot registers (MRTD, RTMR0 to RTMR2), too.
    """
    if replayed.registers["rtmr3"].hex() != rtmr3:
        raise Malformed("does not replay to the evidence's RTMR3", field="event log")
    events = [event for event in replayed.events if event.register == "rtmr3"]
    if any(e.type != RUNTIME or e.binding is not Binding.PAYLOAD for e in events):
        raise Malformed("has an event in RTMR3 that is not what was hashed", field="event log")
    names = [event.name for event in events]
    ready = _SYSTEM_ENDS in names
    early = names.index(_IDENTITY_ENDS) if _IDENTITY_ENDS in names else len(names)
    end = names.index(_SYSTEM_ENDS) + 1 if ready else (early + 1 if early < len(names) else 0)
    values: dict[str, bytes] = {}
    for place, event in enumerate(events[:end]):
        if event.name in values:
            raise Malformed(f"has {event.name!r:.80} twice before it is ready", field="event log")
        if event.name in _IDENTITY and place > early:
            raise Malformed(f"has {event.name!r:.80} after {_IDENTITY_ENDS!r}", field="event log")
        sizes = _IDENTITY.get(event.name) or _SYSTEM.get(event.name)
        if sizes and len(event.payload) not in sizes:
            raise Malformed(f"is {len(event.payload)} bytes", field=event.name)
        values[event.name] = event.payload
    provider = values.get("key-provider")
    app, composition = values.get("app-id"), values.get("compose-hash")
    both = app is not None and composition is not None
    return Identity(
        values=MappingProxyType({k: v for k, v in values.items() if k not in _MARKS}),
        key_provider=None if provider is None else _key_provider(provider),
        app_id_is_derived=app == composition[:_APP_ID] if both and composition else None,
        ready=ready,
        application=tuple(events[end:]),
    )


def compose_hash(app_compose: bytes) -> bytes:
    """SHA-256 of `app-compose.json`, byte for byte as it was deployed."""
    return hashlib.sha256(app_compose).digest()


def config_id(composition: bytes) -> bytes:
    """MRCONFIGID of releases that bind the compose-hash there too: 0x01, the hash, 15 zero bytes."""
    return b"\1" + composition + bytes(15)


def digest(name: str, payload: bytes, version: int) -> bytes:
    """The 48 bytes with which a runtime event extends RTMR3.

    Raises:
        Malformed: a name that this version can't hold, or another version.
    """
    return hashlib.sha384(_preimage(name, payload, version)).digest()


def _replay(entries: Any, version: int) -> Replay:
    if not isinstance(entries, list) or len(entries) > _MAX_EVENTS:
        raise Malformed(f"is not an array of at most {_MAX_EVENTS} events", field="event log")
    return eventlog.extend([_event(n, entry, version) for n, entry in enumerate(entries)])


def _event(number: int, entry: Any, version: int) -> ReplayedEvent:
    field = f"event {number}"
    if not isinstance(entry, dict) or not _NEEDED <= set(entry) <= _ALLOWED:
        raise Malformed("has missing or unknown keys", field=field)
    index = _uint(entry["imr"], f"{field}'s imr", len(eventlog.REGISTERS))
    kind = _uint(entry["event_type"], f"{field}'s type", 2**32)
    recorded = _hex(entry.get("digest", ""), f"{field}'s digest", 48)
    if len(recorded) not in (0, 48):
        raise Malformed(f"is {len(recorded)} bytes, should be 48", field=f"{field}'s digest")
    payload = _hex(entry["event_payload"], f"{field}'s payload", _MAX_PAYLOAD)
    name = _string(entry["event"], f"{field}'s name", _MAX_NAME)
    if (kind == RUNTIME) != (index == 3):
        raise Malformed(
            f"is 0x{kind:08x} in RTMR{index}; runtime events, and they alone, belong in RTMR3",
            field=f"{field}'s type",
        )
    if kind == RUNTIME:
        return _runtime(
            number, entry, name=name, payload=payload, recorded=recorded, version=version
        )
    if not recorded or "version" in entry or "preimage" in entry:
        raise Malformed("is no boot event's: no digest, or a version", field=field)
    # A lite log leaves payloads out; to have none is not to have another.
    binding, measured = eventlog.bind(kind, recorded, payload) if payload else (Binding.DIGEST, b"")
    return ReplayedEvent(
        number=number,
        register=eventlog.REGISTERS[index],
        type=kind,
        digest=recorded,
        payload=payload,
        binding=binding,
        measured=measured,
        name=name,
    )


def _runtime(
    number: int,
    entry: Mapping[str, Any],
    *,
    name: str,
    payload: bytes,
    recorded: bytes,
    version: int,
) -> ReplayedEvent:
    """A runtime event; the digest is recomputed, and a recorded one may only confirm it."""
    versions: Sequence[int] = (1, 2) if recorded else (version,)
    if "version" in entry:
        versions = (_uint(entry["version"], f"event {number}'s version", 3),)
    preimages = [_preimage(name, payload, v) for v in versions if v != 1 or ":" not in name]
    given = entry.get("preimage")
    found = next(
        (p for p in preimages if not recorded or hashlib.sha384(p).digest() == recorded), None
    )
    if not preimages:
        raise Malformed("has a colon in its name", field=f"event {number}")
    if found is not None and given is not None and given not in _forms(found):
        raise Malformed("is not what was hashed", field=f"event {number}'s preimage")
    return ReplayedEvent(
        number=number,
        register="rtmr3",
        type=RUNTIME,
        digest=recorded if found is None else hashlib.sha384(found).digest(),
        payload=payload,
        binding=Binding.MISMATCH if found is None else Binding.PAYLOAD,
        measured=found or b"",
        name=name,
    )


def _preimage(name: str, payload: bytes, version: int) -> bytes:
    match version:
        case 1 if ":" not in name:
            return RUNTIME.to_bytes(4, "little") + b":" + name.encode() + b":" + payload
        case 1:
            raise Malformed("has a colon, so it reads in two ways", field="event's name")
        case 2:
            return json.canonical({"name": name, "payload": payload.hex(), "type": RUNTIME})
        case _:
            raise Malformed(f"is {version}, should be 1 or 2", field="event log's version")


def _forms(preimage: bytes) -> tuple[str, str]:
    """The bytes that were hashed, as text and as hex: both are seen."""
    return preimage.decode("utf-8", "replace"), preimage.hex()


def _key_provider(payload: bytes) -> KeyProvider:
    value = json.parse(payload, field="key-provider")
    if not isinstance(value, dict) or set(value) != {"name", "id"}:
        raise Malformed("is not an object of 'name' and 'id'", field="key-provider")
    return KeyProvider(
        name=_string(value["name"], "key-provider's name", _MAX_NAME),
        id=_string(value["id"], "key-provider's id", _MAX_PAYLOAD),
    )


def _uint(value: Any, field: str, below: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
        raise Malformed(f"is not a whole number below {below}", field=field)
    return value


def _string(value: Any, field: str, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise Malformed(f"is not text of at most {limit} characters", field=field)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("has half a surrogate pair", field=field) from None
    return value


def _hex(value: Any, field: str, limit: int) -> bytes:
    if not isinstance(value, str) or len(value) > 2 * limit or value.startswith("0x"):
        raise Malformed(f"is not hexadecimal text of at most {limit} bytes", field=field)
    return from_hex(value, field=field)
