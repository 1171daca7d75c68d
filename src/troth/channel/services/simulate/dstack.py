"""dstack's three faces on 127.0.0.1: a TLS certificate with evidence, the guest agent, the dashboard.

The guest agent answers the project's own client (`dstack-sdk`) over a unix socket or plain http. What it
does not answer: emitting events (gone from dstack 0.6), and the older `tappd`.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization

from troth.channel.services.dstack import (
    APP_ID,
    ATTESTATION,
    EVENT_LOG,
    GZIP_MAGIC,
    QUOTE,
)
from troth.channel.services.simulate._loopback import (
    NOT_FOUND,
    Identity,
    Loopback,
    Reply,
    Request,
    identity,
    new_key,
    spki_of,
)
from troth.channel.services.simulate.dstack_guest import DstackGuest
from troth.errors import Misuse
from troth.platforms.tdx import dstack_keys
from troth.wire import scale

VERSION: Final = "0.5.8"
_ARC: Final = "1.3.6.1.4.1.62397.1."
_NUMBERS: Final = {QUOTE: "1", EVENT_LOG: "2", APP_ID: "3", ATTESTATION: "8"}
_OCTET_STRING: Final = 0x04


def certificate(guest: DstackGuest, now: datetime, *, form: str = "quote", **made: Any) -> Identity:
    """A TLS key and a certificate that carries a quote over it.

    Args:
        guest: whose.
        now: the present instant.
        form: `quote` (with the log), `packed` (its log compressed), `v0` or `v1` (versioned).
        made: what a hostile maker changes: `quoted` (SubjectPublicKeyInfo that is quoted), `log` (JSON
            text), `app_id`, `extensions`, `names`.
    """
    key = new_key()
    report_data = dstack_keys.report_data(
        dstack_keys.CERTIFICATE, made.get("quoted") or spki_of(key)
    )
    quote, log = guest.quote(report_data), made.get("log") or guest.log
    match form:
        case "quote":
            values = {QUOTE: quote, EVENT_LOG: log.encode()}
        case "packed":
            values = {QUOTE: quote, EVENT_LOG: GZIP_MAGIC + gzip.compress(log.encode())}
        case "v0":
            values = {ATTESTATION: version_0(quote, json.loads(log), report_data)}
        case _:
            values = {ATTESTATION: version_1(guest, quote, json.loads(log), report_data)}
    values |= {APP_ID: made.get("app_id") or guest.app_id} | made.get("extensions", {})
    extensions = [(_ARC + _NUMBERS[number], octets(value)) for number, value in values.items()]
    return identity(now, key=key, extensions=extensions, names=made.get("names", ()))


def serve(
    guest: DstackGuest, now: datetime, *, form: str = "quote", made: Mapping[str, Any] | None = None
) -> Loopback:
    """A site of the application whose TLS certificate carries evidence; `made` as for `certificate`."""
    shown = certificate(guest, now, form=form, **dict(made or {}))
    return Loopback(lambda _: NOT_FOUND, identity=shown)


def agent(guest: DstackGuest, *, path: Path | None = None) -> Loopback:
    """The guest agent, on a unix socket or over plain http."""
    calls = _agent_calls(guest)
    return Loopback(lambda request: _called(calls, request, "/"), path=path)


def dashboard(guest: DstackGuest, now: datetime) -> Loopback:
    """The dashboard of port 8090, behind a TLS certificate that binds nothing."""
    calls = _dashboard_calls(guest)
    return Loopback(
        lambda request: _called(calls, request, "/prpc/Worker."), identity=identity(now)
    )


def answer(guest: DstackGuest, report_data: bytes) -> dict[str, Any]:
    """What `GetQuote` answers."""
    return {
        "quote": guest.quote(report_data).hex(),
        "event_log": guest.log,
        "report_data": report_data.ljust(64, b"\0").hex(),
        "vm_config": "{}",
    }


def info(guest: DstackGuest) -> dict[str, Any]:
    """What `Info` answers."""
    registers = {name: value.hex() for name, value in guest.registers.items()}
    tcb = {
        **{name: registers[name] for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")},
        "mr_aggregated": "00" * 32,
        "os_image_hash": "00" * 32,
        "compose_hash": _measured(guest, "compose-hash"),
        "device_id": "00" * 32,
        "app_compose": guest.composition.decode(),
        "event_log": list(guest.entries),
    }
    return {
        "app_id": guest.app_id.hex(),
        "instance_id": _measured(guest, "instance-id"),
        "app_name": "troth-development",
        "device_id": "00" * 32,
        "app_cert": "",
        "tcb_info": json.dumps(tcb),
        "mr_aggregated": "00" * 32,
        "os_image_hash": _measured(guest, "os-image-hash"),
        "compose_hash": _measured(guest, "compose-hash"),
        "key_provider_info": bytes.fromhex(_measured(guest, "key-provider")).decode(),
        "vm_config": "{}",
    }


def version_0(quote: bytes, entries: list[dict[str, Any]], report_data: bytes) -> bytes:
    """The versioned attestation in its older form."""
    runtime = [entry for entry in entries if entry["imr"] == 3]
    return b"".join(
        (
            b"\0\0",
            scale.with_size(quote),
            scale.number(len(entries)),
            *map(_scale_entry, entries),
            scale.number(len(runtime)),
            *(
                scale.with_size(e["event"].encode())
                + scale.with_size(bytes.fromhex(e["event_payload"]))
                for e in runtime
            ),
            report_data,
            scale.with_size(b"{}"),
        )
    )


def version_1(
    guest: DstackGuest, quote: bytes, entries: list[dict[str, Any]], report_data: bytes
) -> bytes:
    """The versioned attestation as the project writes it now: bytes without a type of their own are arrays."""
    events = [
        {
            **entry,
            "digest": bytes.fromhex(entry["digest"]),
            "event_payload": bytes.fromhex(entry["event_payload"]),
        }
        for entry in entries
    ]
    stack = {"report_data": list(report_data), "runtime_events": [], "config": "{}"}
    machine: dict[str, Any] = {"quote": list(quote), "event_log": events}
    if guest.form == 3:
        machine["mr_config"] = guest.document.decode()
    return packed(
        {
            "version": 1,
            "platform": {"kind": "tdx", "data": machine},
            "stack": {"kind": "dstack", "data": stack},
        }
    )


def packed(value: Any) -> bytes:
    """MessagePack, as far as attestations need it."""
    match value:
        case dict():
            head = _head(len(value), 0x80, 16, (0xDE, 0xDF))
            return head + b"".join(packed(k) + packed(v) for k, v in value.items())
        case list():
            head = _head(len(value), 0x90, 16, (0xDC, 0xDD))
            return head + b"".join(map(packed, value))
        case str():
            data = value.encode()
            if len(data) >= 32 and len(data) < 256:
                return b"\xd9" + bytes([len(data)]) + data
            return _head(len(data), 0xA0, 32, (0xDA, 0xDB)) + data
        case bytes():
            if len(value) < 256:
                return b"\xc4" + bytes([len(value)]) + value
            return b"\xc5" + len(value).to_bytes(2, "big") + value
        case int() if value < 0x80:
            return bytes([value])
        case int() if value < 0x100:
            return b"\xcc" + bytes([value])
        case int() if value < 0x10000:
            return b"\xcd" + value.to_bytes(2, "big")
        case _:
            return b"\xce" + int(value).to_bytes(4, "big")


def octets(data: bytes) -> bytes:
    """A DER OCTET STRING."""
    size = len(data)
    if size < 0x80:
        return bytes([_OCTET_STRING, size]) + data
    width = (size.bit_length() + 7) // 8
    return bytes([_OCTET_STRING, 0x80 | width]) + size.to_bytes(width, "big") + data


def _head(count: int, small: int, limit: int, wide: tuple[int, int]) -> bytes:
    if count < limit:
        return bytes([small | count])
    if count < 0x10000:
        return bytes([wide[0]]) + count.to_bytes(2, "big")
    return bytes([wide[1]]) + count.to_bytes(4, "big")


def _scale_entry(entry: Mapping[str, Any]) -> bytes:
    return (
        int(entry["imr"]).to_bytes(4, "little")
        + int(entry["event_type"]).to_bytes(4, "little")
        + scale.with_size(bytes.fromhex(entry["digest"]))
        + scale.with_size(entry["event"].encode())
        + scale.with_size(bytes.fromhex(entry["event_payload"]))
    )


def _measured(guest: DstackGuest, name: str) -> str:
    return next(str(e["event_payload"]) for e in guest.entries if e["event"] == name)


Call = Callable[[Mapping[str, Any]], dict[str, Any]]


def _called(calls: Mapping[str, Call], request: Request, prefix: str) -> Reply:
    call = calls.get(request.path.removeprefix(prefix))
    if call is None or not request.path.startswith(prefix):
        return NOT_FOUND
    try:
        arguments = json.loads(request.body) if request.body else request.query
        said, status = call(arguments), 200
    except (Misuse, ValueError, KeyError) as error:
        said, status = {"error": str(error)}, 400
    return Reply(
        status=status, body=json.dumps(said).encode(), headers={"Content-Type": "application/json"}
    )


def _agent_calls(guest: DstackGuest) -> dict[str, Call]:
    def tls_key(arguments: Mapping[str, Any]) -> dict[str, Any]:
        made = {"names": arguments.get("alt_names", ())}
        now = datetime.now(UTC)
        ratls = bool(arguments.get("usage_ra_tls"))
        shown = certificate(guest, now, **made) if ratls else identity(now, **made)
        return {"key": _pem(shown), "certificate_chain": [_certificate_pem(shown)]}

    def key(arguments: Mapping[str, Any]) -> dict[str, Any]:
        held = guest.key(
            arguments.get("path", ""), arguments.get("purpose", ""), arguments.get("algorithm", "")
        )
        return {"key": held.secret.hex(), "signature_chain": [s.hex() for s in held.chain]}

    def sign(arguments: Mapping[str, Any]) -> dict[str, Any]:
        signature, held = guest.signed(arguments["algorithm"], bytes.fromhex(arguments["data"]))
        return {
            "signature": signature.hex(),
            "signature_chain": [s.hex() for s in (signature, *held.chain)],
            "public_key": held.public.hex(),
        }

    def attest(arguments: Mapping[str, Any]) -> dict[str, Any]:
        data = bytes.fromhex(arguments["report_data"]).ljust(64, b"\0")
        attestation = version_1(guest, guest.quote(data), list(guest.entries), data)
        return {"attestation": attestation.hex()}

    return {
        "GetKey": key,
        "GetTlsKey": tls_key,
        "GetQuote": lambda a: answer(guest, bytes.fromhex(a["report_data"])),
        "Attest": attest,
        "Info": lambda _: info(guest),
        "Sign": sign,
        "Version": lambda _: {"version": VERSION, "rev": ""},
    }


def _dashboard_calls(guest: DstackGuest) -> dict[str, Call]:
    def attested(arguments: Mapping[str, Any]) -> dict[str, Any]:
        algorithm = str(arguments.get("algorithm", "secp256k1"))
        held = guest.key(dstack_keys.SIGNING_PATH, dstack_keys.SIGNING_PURPOSE, algorithm)
        return answer(guest, dstack_keys.signing_key_data(algorithm, held.public))

    return {
        "GetAttestationForAppKey": attested,
        "Info": lambda _: info(guest),
        "Version": lambda _: {"version": VERSION, "rev": ""},
    }


def _pem(shown: Identity) -> str:
    return shown.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _certificate_pem(shown: Identity) -> str:
    return shown.certificate.public_bytes(serialization.Encoding.PEM).decode()
