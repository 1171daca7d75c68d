"""The older attestation reports of confidential AI: Phala, NEAR AI, redpill, and servers made after them.

`GET /v1/attestation/report?nonce=…` gives a TDX quote whose REPORTDATA is an identity of 32 bytes and the
caller's nonce. The identity is the key that signs answers: a secp256k1 address or an Ed25519 key, zeros
behind it. Where the host answers with its TLS key's fingerprint it is SHA-256(key ‖ fingerprint) instead.
GPUs come beside it as the body of a request to NRAS, over the same nonce.

Fingerprints are over the SubjectPublicKeyInfo with the newer servers, over the whole certificate with
the older; either is compared with this very session. A gateway shows the machines behind it, too
(`model_attestations`), and a server of several machines all of them (`all_attestations`): each is a part
that the policy has to count.
"""

import hashlib
import json as library
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.channel import keyset, signatures
from troth.channel.services import _measured
from troth.channel.services._service import Found, Service
from troth.channel.web import Redirected, Web
from troth.crypto import ethereum
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.claims import Source
from troth.model.composite import MAX_PARTS, Composite, Part
from troth.model.statement import Statement, Status
from troth.platforms.nvidia import carrier
from troth.platforms.tdx import dstack_config
from troth.platforms.tdx import format as quotes
from troth.wire import json
from troth.wire.text import from_hex

NAME: Final = "phala"
PATH: Final = "/v1/attestation/report"
_MAX: Final = 16 * 1024 * 1024
_MAX_TEXT: Final = 4 * 1024 * 1024
_HALF: Final = 32
NOT_BOUND: Final = (
    *signatures.NOT_BOUND,
    (
        "a GPU's report carries your nonce and nothing of the CPU: it may sit in another machine that the "
        "nonce was handed to"
    ),
    "which weights answer is bound by nothing",
)
_OPEN_TLS: Final = (
    "the evidence names no TLS key of this session: what is sent may be read by whoever ends TLS",
    "what else may be on the way cannot be told from the evidence; answers alone are signed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine's attestation in a report. Read, not believed.

    Attributes:
        algorithm: `ecdsa` or `ed25519`.
        address: 20 bytes, or a key of 32.
        public_key: the whole key where the report has it and the address is of it; may be empty.
        fingerprint: 32 bytes that the identity is also over, or empty.
        quote: the TDX quote.
        log: the event log, or None.
        gpus: each device's evidence, by the name of its part.
        composition: the deployed composition as text, or empty.
    """

    algorithm: str
    address: bytes
    public_key: bytes
    fingerprint: bytes
    quote: bytes
    log: bytes | None
    gpus: Mapping[str, bytes]
    composition: str

    def report_data(self, nonce: bytes) -> bytes:
        """What the quote must carry."""
        return report_data(self.address, nonce, fingerprint=self.fingerprint)


def report_data(address: bytes, nonce: bytes, *, fingerprint: bytes = b"") -> bytes:
    """The 64 bytes: identity ‖ nonce.

    Args:
        address: of the key that signs answers.
        nonce: 32 bytes.
        fingerprint: SHA-256 of the TLS key or certificate, where the identity is over it.
    """
    if fingerprint:
        return hashlib.sha256(address + fingerprint).digest() + nonce
    return address.ljust(_HALF, b"\0") + nonce


def ask(web: Web, nonce: bytes) -> Found | None:
    """Asks for the report, with the TLS key in it where the server knows how."""
    if not web.secure:
        return None
    query = {
        "nonce": nonce.hex(),
        "signing_algo": signatures.ECDSA,
        "include_tls_fingerprint": "true",
    }
    try:
        answer = web.get(PATH, query=query, limit=_MAX)
    except Redirected:  # a host of another kind sends strangers elsewhere
        return None
    if answer.status != 200 or not answer.body[:64].lstrip().startswith(b"{"):
        return None
    if b'"intel_quote"' not in answer.body:
        return None
    machines = machines_in(answer.body)
    return _found(web, nonce, answer.body, machines)


def machines_in(body: bytes) -> tuple[Machine, ...]:
    """The machines of a report: the one that answered, then those behind or beside it, each once.

    Raises:
        Malformed: it is no such report.
    """
    report = json.parse(body, field="attestation report", limit=_MAX)
    if not isinstance(report, dict):
        raise Malformed("is not an object", field="attestation report")
    gateway = report.get("gateway_attestation")
    first = gateway if isinstance(gateway, dict) else report
    entries = [first, *_listed(report, "model_attestations"), *_listed(report, "all_attestations")]
    entries = [entry for entry in entries if "intel_quote" in entry]
    found: list[Machine] = []
    for entry in entries:
        machine = _machine(entry)
        if machine.quote not in [other.quote for other in found]:
            found.append(machine)
        if len(found) > MAX_PARTS:
            raise Malformed(f"shows more than {MAX_PARTS} machines", field="attestation report")
    if not found:
        raise Malformed("holds no quote", field="attestation report")
    return tuple(found)


def _found(web: Web, nonce: bytes, body: bytes, machines: tuple[Machine, ...]) -> Found:
    first = machines[0]
    bound = bool(first.fingerprint) and first.fingerprint in _own(web)
    keys = {"address": first.address}
    if first.public_key:
        keys["e2ee"] = first.public_key
    for place, machine in enumerate(machines[1:], 1):
        keys[f"address-{place}"] = machine.address
    if bound:
        keys["tls"] = web.key
    parts = [part for place, m in enumerate(machines) for part in _parts(place, m, nonce)]
    if len(parts) > MAX_PARTS:
        raise Malformed(f"holds more than {MAX_PARTS} parts", field="attestation report")
    return Found(
        service=NAME,
        composite=Composite(parts=tuple(parts), framing="an attestation report of the older form"),
        binding=Binding.KEY if bound else Binding.ANSWER,
        keys=keys,
        nonce=nonce,
        not_bound=NOT_BOUND if bound else (*_OPEN_TLS, *NOT_BOUND),
        statements=(_channel(bound=bound), *_said(first)),
        raw={PATH: body},
    )


def _own(web: Web) -> tuple[bytes, bytes]:
    return hashlib.sha256(web.key).digest(), hashlib.sha256(web.certificate).digest()


def _parts(place: int, machine: Machine, nonce: bytes) -> Iterator[Part]:
    prefix = f"machine-{place}-" if place else ""
    named = "its signing key and TLS key" if machine.fingerprint else "its signing key"
    yield Part(
        name=f"{prefix}cpu",
        evidence=machine.quote,
        says=f"REPORTDATA is over {named}, and your nonce",
        user_data=machine.report_data(nonce),
        over_nonce=True,
        event_log=machine.log,
    )
    for name, evidence in machine.gpus.items():
        yield Part(
            name=f"{prefix}{name}",
            evidence=evidence,
            says="its report carries your nonce, and nothing of the CPU",
            nonce=nonce,
        )


def _channel(*, bound: bool) -> Statement:
    return _measured.by_us(
        "channel_bound",
        f"the TLS key of this session is {'' if bound else 'not '}in the evidence",
        Status.ASSERTED if bound else Status.REFUTED,
    )


def _said(machine: Machine) -> Iterator[Statement]:
    measured = _measured.identity(machine.quote, machine.log)
    yield _measured.composition(measured, machine.composition)
    found = quotes.unwrap(machine.quote)
    if measured is not None and found is not None:
        try:
            register = quotes.parse(found[0]).field("mrconfigid")
            status, why = dstack_config.compare(register, measured)
        except (Malformed, Unavailable) as error:
            status, why = Status.UNKNOWN, str(error)
        source = None if status is Status.UNKNOWN else Source.VERIFIER
        yield Statement(name="host_started_this_app", status=status, source=source, why=why)
    if not machine.gpus:
        yield _measured.unknown("gpu_attested", "the report has no evidence of GPUs")
    yield _measured.unknown("key_custody", "the signing key is made anew by each process")
    yield _measured.unknown("model_weights_provenance", "the protocol has nothing that shows it")


def _machine(entry: Mapping[str, Any]) -> Machine:
    algorithm = entry.get("signing_algo") or signatures.ECDSA
    if algorithm not in (signatures.ECDSA, signatures.ED25519):
        raise Malformed(f"is {str(algorithm)[:40]!r}", field="signing_algo")
    address = signatures.address(_text(entry, "signing_address"), algorithm)
    fingerprint = _maybe_hex(entry, "tls_cert_fingerprint")
    if len(fingerprint) not in (0, _HALF):
        raise Malformed(f"is {len(fingerprint)} bytes, should be 32", field="tls_cert_fingerprint")
    return Machine(
        algorithm=algorithm,
        address=address,
        public_key=_public_key(entry, algorithm, address),
        fingerprint=fingerprint,
        quote=from_hex(_text(entry, "intel_quote"), field="intel_quote"),
        log=_log(entry.get("event_log")),
        gpus=_gpus(entry.get("nvidia_payload")),
        composition=_composition(entry.get("info")),
    )


def _public_key(entry: Mapping[str, Any], algorithm: str, address: bytes) -> bytes:
    """The whole key to encrypt to; empty where it is not shown, or is not the address's."""
    if algorithm == signatures.ED25519:
        return address
    key = _maybe_hex(entry, "signing_public_key")
    if len(key) == 64:
        key = b"\x04" + key
    if len(key) != 65:
        return b""
    try:
        return key if ethereum.address(key) == address else b""
    except Unavailable:
        return b""


def _gpus(payload: Any) -> dict[str, bytes]:
    """Each device of the body for NRAS, as text or as an object."""
    if payload in (None, "", {}):
        return {}
    text = payload if isinstance(payload, str) else _written(payload, "nvidia_payload")
    carried = carrier.open_json(text.encode("utf-8", "surrogatepass"))
    if carried is None:
        raise Malformed("is no list of NVIDIA's evidence", field="nvidia_payload")
    found: dict[str, bytes] = {}
    for evidence, document in zip(carried.devices, carried.documents, strict=True):
        kind = document.kind.lower()
        count = sum(name.startswith(kind) for name in found)
        found[f"{kind}-{count}"] = evidence
    return found


def _log(value: Any) -> bytes | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else _written(value, "event_log")
    return keyset.text(text, "event_log", _MAX_TEXT).encode("utf-8", "surrogatepass") or None


def _written(value: Any, field: str) -> str:
    try:
        return library.dumps(value)
    except RecursionError:
        raise Malformed("is nested too deep", field=field) from None


def _composition(info: Any) -> str:
    """The composition in what the guest agent says of itself; empty where it shows none."""
    if not isinstance(info, dict):
        return ""
    tcb = info.get("tcb_info")
    inner = json.parse(tcb, field="tcb_info") if isinstance(tcb, str) and tcb else tcb
    found = inner.get("app_compose") if isinstance(inner, dict) else None
    return "" if found is None else keyset.text(found, "app_compose", _MAX_TEXT)


def _listed(report: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = report.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Malformed("is not a list of objects", field=name)
    return value


def _maybe_hex(entry: Mapping[str, Any], name: str) -> bytes:
    return from_hex(_text(entry, name), field=name) if entry.get(name) else b""


def _text(entry: Mapping[str, Any], name: str) -> str:
    return keyset.text(entry.get(name), name, _MAX_TEXT)


SERVICE: Final = Service(
    name=NAME,
    title="confidential AI, older reports (Phala, NEAR AI, redpill)",
    ask=ask,
    not_bound=(*_OPEN_TLS, *NOT_BOUND),
)
