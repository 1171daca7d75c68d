"""dstack: the certificate that carries a quote, the guest agent's answers, and its dashboard.

A host is asked in three ways, the firmest first:

1. *RA-TLS*. The TLS leaf holds a quote, its event log (maybe compressed), or a versioned attestation;
   REPORTDATA is SHA-512("ratls-cert:" ‖ SubjectPublicKeyInfo).
2. *The guest agent* over plain http, as its simulators and test tunnels offer it: `/GetQuote` puts the
   caller's nonce into REPORTDATA as it stands.
3. *The dashboard* (port 8090): `/prpc/Worker.GetAttestationForAppKey` gives a quote that names the key
   with which the application signs (DIP-1), for anybody who asks, with no nonce.

`/Info` beside 2 and 3 shows what the quote's log must agree with: the composition above all.
"""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any, Final

from troth.channel.services import _leaf, _measured
from troth.channel.services._service import UNSIGNED, Found, Service
from troth.channel.web import Redirected, Web
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.composite import Composite, Part
from troth.model.statement import Statement, Status
from troth.platforms.snp import format as snp
from troth.platforms.tdx import carrier, dstack, dstack_attestation, dstack_config, dstack_keys
from troth.wire import json
from troth.wire.text import from_hex

NAME: Final = "dstack"
QUOTE, EVENT_LOG, APP_ID, USAGE, ATTESTATION, APP_INFO = (
    _leaf.oid(f"1.3.6.1.4.1.62397.1.{number}") for number in (1, 2, 3, 4, 8, 9)
)
GZIP_MAGIC: Final = b"ELGZv1"
MAX_LOG: Final = 16 * 1024  # as the project bounds a log in a certificate, unpacked
_GZIP: Final = 16 + zlib.MAX_WBITS
_MAX_ANSWER: Final = 4 * 1024 * 1024
_WORKER: Final = "/prpc/Worker."
_ANY_BYTES: Final = (
    "whoever runs in the guest can have any 64 bytes quoted, so REPORTDATA's form does not show that "
    "the system made it: the image and the composition have to be known"
)
_TLS: Final = (
    "no freshness: the quote is as old as the certificate, and was made without your nonce",
    "the key may sit on any machine that got hold of it; the quote names no session",
    _ANY_BYTES,
    UNSIGNED,
)
_AGENT: Final = (
    "plain http: whoever sits between may have passed your nonce on to a guest elsewhere",
    _ANY_BYTES,
)
_DASHBOARD: Final = (
    "no freshness: the quote carries no nonce, and may be any age",
    "nothing ties the way to this host to the quote: TLS may end before the guest",
    "whether an answer of the application comes from there, only a signature by the key would show",
    _ANY_BYTES,
)


def unpacked(data: bytes) -> bytes:
    """An event log out of a certificate: as it stands, or behind the magic prefix compressed.

    Raises:
        Malformed: it is not gzip behind the prefix, has anything behind it, or is too long unpacked.
    """
    if not data.startswith(GZIP_MAGIC):
        return data
    reader = zlib.decompressobj(_GZIP)
    try:
        log = reader.decompress(data[len(GZIP_MAGIC) :], MAX_LOG + 1)
    except zlib.error:
        raise Malformed("is not gzip behind its prefix", field="event log") from None
    if len(log) > MAX_LOG:
        raise Malformed(f"is longer than {MAX_LOG} bytes unpacked", field="event log")
    if not reader.eof or reader.unused_data:
        raise Malformed("ends early, or goes on behind its end", field="event log")
    return log


def in_certificate(certificate: bytes) -> dstack_attestation.Attestation | None:
    """The evidence in a TLS leaf; None if it carries none of dstack's.

    Where it holds both forms the versioned attestation counts, as it does for dstack itself.

    Raises:
        Malformed: it carries the extensions, and they are not what they should be.
    """
    leaf = _leaf.read(certificate)
    if leaf is None:
        return None
    versioned = _leaf.octets(leaf, ATTESTATION)
    if versioned is not None:
        return dstack_attestation.read(versioned)
    quote = _leaf.octets(leaf, QUOTE)
    if quote is None:
        return None
    packed = _leaf.octets(leaf, EVENT_LOG)
    if packed is None:
        raise Malformed("stands without an event log", field="certificate's quote")
    return dstack_attestation.Attestation(
        kind="tdx", evidence=quote, log=_rtmr3_only(unpacked(packed)), report_data=b"", config=""
    )


def ask(web: Web, nonce: bytes) -> Found | None:
    """See the module; the first of the three ways that the host knows."""
    if not web.secure:
        return _agent(web, nonce)
    return _certificate(web) or _dashboard(web)


def _certificate(web: Web) -> Found | None:
    found = in_certificate(web.certificate)
    if found is None:
        return None
    leaf = _leaf.read(web.certificate)
    named = None if leaf is None else _leaf.octets(leaf, APP_ID)
    part = Part(
        name="cpu",
        evidence=found.evidence,
        says="REPORTDATA is the hash of the TLS key under dstack's tag for certificates",
        user_data=dstack_keys.report_data(dstack_keys.CERTIFICATE, web.key),
        event_log=found.log,
    )
    left: tuple[str, ...] = _TLS
    if found.kind == "gcp-tdx":
        left = (*left, "the vTPM's quote beside the TDX quote was not looked at")
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="dstack's TLS certificate"),
        binding=Binding.KEY,
        keys={"tls": web.key},
        not_bound=left,
        statements=_of_attestation(found, named),
        raw={"certificate": web.certificate},
    )


def _agent(web: Web, nonce: bytes) -> Found | None:
    answer = _call(web, "/GetQuote", report_data=nonce.hex())
    if answer is None or carrier.open_answer(answer) is None:
        return None
    info = _call(web, "/Info")
    part = Part(
        name="cpu", evidence=answer, says="REPORTDATA is your nonce as it stands", nonce=nonce
    )
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="a dstack guest agent's answer"),
        binding=Binding.NONE,
        nonce=nonce,
        not_bound=_AGENT,
        statements=_beside(answer, info),
        raw=_raw({"/GetQuote": answer, "/Info": info}),
    )


def _dashboard(web: Web) -> Found | None:
    path = f"{_WORKER}GetAttestationForAppKey"
    answer = _call(web, path, algorithm="secp256k1")
    if answer is None or carrier.open_answer(answer) is None:
        return None
    said = dstack.read_answer(answer).report_data
    named = dstack_keys.signing_key_in(said)
    if named is None:
        raise Malformed("names no key as DIP-1 has it", field="answer's report_data")
    algorithm, key = named
    info = _call(web, f"{_WORKER}Info")
    part = Part(
        name="cpu",
        evidence=answer,
        says=f"REPORTDATA names the {algorithm} key that the application signs with",
        user_data=said,
    )
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="a dstack dashboard's answer"),
        binding=Binding.NONE,
        keys={"address": key},
        not_bound=_DASHBOARD,
        statements=_beside(answer, info),
        raw=_raw({path: answer, f"{_WORKER}Info": info}),
    )


def _call(web: Web, path: str, **arguments: str) -> bytes | None:
    """The body of an answer to an RPC; None where the host has no such thing."""
    try:
        answer = web.get(path, query=arguments, limit=_MAX_ANSWER)
    except Redirected:  # a host of another kind sends strangers elsewhere
        return None
    return answer.body if answer.status == 200 else None


def _raw(answers: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {path: answer for path, answer in answers.items() if answer is not None}


def _beside(answer: bytes, info: bytes | None) -> tuple[Statement, ...]:
    """What `/Info` says beside a quote, held against the quote's log."""
    read = dstack.read_answer(answer)
    log = carrier.log_in(answer)
    if info is None:
        return _said(read.quote, log)
    value = json.parse(info, field="/Info")
    if not isinstance(value, dict):
        raise Malformed("is not an object", field="/Info")
    tcb = value.get("tcb_info", "")
    inner = json.parse(tcb, field="/Info's tcb_info") if isinstance(tcb, str) and tcb else tcb
    composition = inner.get("app_compose", "") if isinstance(inner, dict) else ""
    app_id = value.get("app_id", "")
    if not isinstance(composition, str) or not isinstance(app_id, str):
        raise Malformed("has an app_id or a composition that is no text", field="/Info")
    return _said(
        read.quote,
        log,
        app_id=from_hex(app_id, field="/Info's app_id") or None,
        composition=composition.encode("utf-8", "surrogatepass") or None,
    )


def _said(
    quote: bytes,
    log: bytes | None,
    *,
    app_id: bytes | None = None,
    composition: bytes | None = None,
    document: bytes | None = None,
) -> tuple[Statement, ...]:
    """Statements that hold if the evidence does: what lies beside the quote against its own log."""
    measured = _measured.identity(quote, log)
    found = []
    if measured is None:
        why = "the log does not replay to RTMR3, or was not handed over"
        return (_measured.unknown("app_measured", why),)
    for name, said, event in (
        ("app_id_as_measured", app_id, "app-id"),
        ("composition_as_measured", _hashed(composition), "compose-hash"),
    ):
        if said is None:
            found.append(_measured.unknown(name, "the service did not show it"))
        elif said == measured.values.get(event):
            found.append(_measured.by_us(name, f"it is what {event} in RTMR3 has"))
        else:
            why = f"{event} in RTMR3 has another value"
            found.append(_measured.by_us(name, why, Status.REFUTED))
    bare = _measured.parsed(quote)
    if bare is not None:
        status, why = _config(bare.field("mrconfigid"), measured, document)
        found.append(_measured.by_us("host_started_this_app", why, status))
    return tuple(found)


def _of_attestation(
    found: dstack_attestation.Attestation, app_id: bytes | None
) -> tuple[Statement, ...]:
    """Of a TD by its log; of an SNP guest, which extends nothing, by what its host started it with."""
    if found.kind != "sev-snp" or found.document is None:
        return _said(found.evidence, found.log, app_id=app_id, document=found.document)
    try:
        register = snp.parse(found.evidence).host_data
    except Malformed:
        return ()  # whoever judges says so
    started = dstack_config.host_data(found.document) == register
    named, _ = dstack_config.application(found.document)
    same = started and named == app_id
    words = "is" if started else "is not"
    return (
        _measured.by_us(
            "host_started_this_app",
            f"HOST_DATA {words} over the document that names application {named.hex()}",
            Status.ASSERTED if started else Status.REFUTED,
        ),
        _measured.by_us(
            "app_id_as_measured",
            f"the certificate's id and HOST_DATA's document {'agree' if same else 'differ'}",
            Status.ASSERTED if same else Status.REFUTED,
        ),
    )


def _config(
    register: bytes, measured: dstack.Identity, document: bytes | None
) -> tuple[Status, str]:
    try:
        return dstack_config.compare(register, measured, document=document)
    except (Malformed, Unavailable) as error:
        return Status.UNKNOWN, str(error)


def _hashed(composition: bytes | None) -> bytes | None:
    return None if composition is None else hashlib.sha256(composition).digest()


def _rtmr3_only(log: bytes) -> bytes:
    entries: Any = json.parse(log, field="event log") if log else []
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise Malformed("is not an array of objects", field="event log")
    return dstack_attestation.log_of([e | {"imr": e.get("imr")} for e in entries])


SERVICE: Final = Service(
    name=NAME, title="dstack", ask=ask, not_bound=(*_TLS, *_AGENT[:1], *_DASHBOARD[1:3])
)
