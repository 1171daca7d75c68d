"""What lies in dstack's *versioned attestation*: a machine's evidence, its event log, what was asked for.

Two versions: 0 is SCALE behind a zero byte; 1 is MessagePack of a map `{version, platform, stack}`. The
forms are as the project's source has them (its enumerations in their order, and serde's names); no
public attestation of either was at hand, only quotes taken out of them.

Nothing signs this envelope. The log of a certificate is cut down by its maker, to RTMR3 and a few
digests of ACPI tables: what is left of the other registers replays to nothing, and is dropped here.
"""

import json as library
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed
from troth.platforms.tdx.dstack import RUNTIME
from troth.wire import msgpack, scale
from troth.wire.reader import Reader

FIELD: Final = "attestation"
MAX: Final = 1024 * 1024
_REPORT_DATA: Final = 64
_RTMR3: Final = 3
_STACKS: Final = frozenset({"dstack", "dstack-pod"})
# Kind to the member that holds evidence which stands for the whole machine.
_EVIDENCE: Final = {
    "tdx": "quote",
    "gcp-tdx": "quote",
    "nitro-enclave": "nsm_quote",
    "sev-snp": "report",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """An attestation, taken apart and not believed.

    Attributes:
        kind: `tdx`, `gcp-tdx`, `nitro-enclave` or `sev-snp`.
        evidence: a quote, document or report.
        log: dstack's event log as JSON, RTMR3 only; None where the machine has no such register.
        report_data: what it says was asked for; evidence holds what counts.
        config: JSON text of the machine's configuration, maybe empty.
        document: of MRCONFIGID or HOST_DATA in form 3, or None.
    """

    kind: str
    evidence: bytes
    log: bytes | None
    report_data: bytes
    config: str
    document: bytes | None = None


def read(data: bytes) -> Attestation:
    """Reads either version strictly.

    Raises:
        Malformed: another form, or a kind of machine that is not read here.
    """
    if not data or len(data) > MAX:
        raise Malformed(f"is {len(data)} bytes, should be 1 to {MAX}", field=FIELD)
    if data[0] == 0:
        return _version_0(data)
    if 0x80 <= data[0] <= 0x8F:  # a map of less than 16 members
        return _version_1(data)
    raise Malformed("is of no known version", field=FIELD, offset=0)


def log_of(entries: list[dict[str, Any]]) -> bytes:
    """A log for `dstack.replay`, of the entries that extend RTMR3."""
    return library.dumps([entry for entry in entries if entry["imr"] == _RTMR3]).encode("ascii")


def _version_0(data: bytes) -> Attestation:
    reader = Reader(data)
    reader.take(1, "version")
    at = reader.offset
    kind = reader.uint(1, "kind of machine")
    if kind != 0:
        raise Malformed(f"is {kind}, and 0 (TDX) is read", field="kind of machine", offset=at)
    quote = scale.sized(reader, "quote")
    entries = scale.many(reader, "event log", _scale_entry)
    runtime = scale.many(reader, "runtime events", _scale_runtime)
    report_data = reader.take(_REPORT_DATA, "report_data")
    config = scale.text(reader, "config")
    reader.end(FIELD)
    log = log_of(entries) if any(e["imr"] == _RTMR3 for e in entries) else log_of(runtime)
    return Attestation(kind="tdx", evidence=quote, log=log, report_data=report_data, config=config)


def _scale_entry(reader: Reader) -> dict[str, Any]:
    return {
        "imr": reader.uint(4, "imr", "little"),
        "event_type": reader.uint(4, "event_type", "little"),
        "digest": scale.sized(reader, "digest").hex(),
        "event": scale.text(reader, "event"),
        "event_payload": scale.sized(reader, "event_payload").hex(),
    }


def _scale_runtime(reader: Reader) -> dict[str, Any]:
    return _runtime(scale.text(reader, "event"), scale.sized(reader, "payload"))


def _version_1(data: bytes) -> Attestation:
    whole = _members(msgpack.decode(data, field=FIELD), FIELD)
    version = whole.get("version")
    if version != 1 or isinstance(version, bool):
        raise Malformed("is of no known version", field=FIELD)
    kind, machine = _tagged(whole.get("platform"), "platform")
    stack_kind, stack = _tagged(whole.get("stack"), "stack")
    if kind not in _EVIDENCE or stack_kind not in _STACKS:
        raise Malformed(
            f"is of {kind[:40]!r} with {stack_kind[:40]!r}, which are not read here", field=FIELD
        )
    entries = [_named_entry(e) for e in _list(machine.get("event_log", []), "event log")]
    if not entries:
        events = _list(stack.get("runtime_events", []), "runtime events")
        entries = [_named_runtime(e) for e in events]
    document = machine.get("mr_config")
    return Attestation(
        kind=kind,
        evidence=msgpack.as_bytes(machine.get(_EVIDENCE[kind]), field="evidence"),
        log=log_of(entries) if kind.endswith("tdx") else None,
        report_data=msgpack.as_bytes(stack.get("report_data"), field="report_data"),
        config=_text(stack.get("config"), "config"),
        document=None if document is None else _text(document, "mr_config").encode("utf-8"),
    )


def _named_entry(value: Any) -> dict[str, Any]:
    entry = _members(value, "event")
    made = {
        "imr": entry.get("imr"),
        "event_type": entry.get("event_type"),
        "digest": msgpack.as_bytes(entry.get("digest", b""), field="digest").hex(),
        "event": _text(entry.get("event"), "event"),
        "event_payload": msgpack.as_bytes(entry.get("event_payload"), field="payload").hex(),
    }
    version = _version(entry)
    return made | ({"version": version} if version is not None else {})


def _named_runtime(value: Any) -> dict[str, Any]:
    event = _members(value, "event")
    payload = msgpack.as_bytes(event.get("payload"), field="payload")
    version = _version(event)
    made = _runtime(_text(event.get("event"), "event"), payload)
    return made | ({"version": version} if version is not None else {})


def _version(entry: dict[str, Any]) -> Any:
    """The event's version: a number, or as serde names the variants."""
    said = entry.get("version")
    return {"V1": 1, "V2": 2, "v1": 1, "v2": 2}.get(said, said) if isinstance(said, str) else said


def _runtime(name: str, payload: bytes) -> dict[str, Any]:
    return {
        "imr": _RTMR3,
        "event_type": RUNTIME,
        "digest": "",
        "event": name,
        "event_payload": payload.hex(),
    }


def _tagged(value: Any, field: str) -> tuple[str, dict[str, Any]]:
    members = _members(value, field)
    if set(members) != {"kind", "data"}:
        raise Malformed("is not a map of 'kind' and 'data'", field=field)
    return _text(members["kind"], field), _members(members["data"], field)


def _members(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("is not a map", field=field)
    return value


def _list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed("is not an array", field=field)
    return value


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise Malformed("is not text", field=field)
    return value
