"""ACI, Attested Confidential Inference (`aci/1`): a report, a keyset, a statement that evidence is over.

The verifier's six checks (section 9.1) come out here as follows.

1. *Hardware*: the part `cpu`, judged by its platform.
2. *Binding and freshness*: its `user_data`, computed from the keyset as it was read and the caller's
   nonce; nothing that the report restates is believed.
3. *Expiry*: a keyset that has ended binds nothing, whatever the evidence says of it.
4. *Provenance*: the composition against the measured log; a repository that is named beside it is the
   operator's word.
5. *Custody*: the key service's chain of signatures, up to a root that is named and that nobody here knows.
6. *Channel*: the TLS key of this very session against the keyset's list for this host.
"""

import time
from typing import Any, Final

from troth.channel import keyset as keysets
from troth.channel.keyset import Keyset
from troth.channel.services import _aci_sessions, _measured
from troth.channel.services._service import Found, Service
from troth.channel.web import Redirected, Web
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.claims import Source
from troth.model.composite import Composite, Part
from troth.model.statement import Statement, Status
from troth.platforms.tdx import dstack, dstack_keys
from troth.wire import json
from troth.wire.text import from_hex

NAME: Final = "aci"
PATH: Final = "/v1/aci/attestation"
DIRECT: Final = "direct"
_MAX_REPORT: Final = 4 * 1024 * 1024
_MAX_TEXT: Final = 2 * 1024 * 1024
_TEES: Final = ("tdx", "sev_snp")
NOT_BOUND: Final = (
    (
        "behind a gateway the prompt goes on to another service; that the gateway verified it is the word "
        "of the gateway's own code"
    ),
    "a receipt's time is the service's own clock, and nothing orders receipts or shows one left away",
    "which weights answer is bound by nothing",
    "the repository and commit beside the evidence are not in it; the measured composition is",
    "whoever gets hold of a listed key, on any machine, can stand in until the keyset ends",
)
_OTHER_KEY: Final = (
    "the key of this TLS session is not in the keyset: TLS ends before the attested workload, and what "
    "is not encrypted to an E2EE key may be read on the way"
)
_FAR: Final = "the keyset ends in more than a year, so long a stolen key would do"
_YEAR: Final = 366 * 24 * 3600
_ENDED: Final = "the keyset has ended, so nothing is bound by it any more"


def ask(web: Web, nonce: bytes) -> Found | None:
    """Asks for the report, and for sessions where the service is a gateway."""
    if not web.secure:
        return None
    try:
        answer = web.get(PATH, query={"nonce": nonce.hex()}, limit=_MAX_REPORT)
    except Redirected:  # a host of another kind sends strangers elsewhere
        return None
    if answer.status != 200 or not _looks_like(answer.body):
        return None
    report = _report(answer.body)
    keys = keysets.read(report["attestation"]["workload_keyset"])
    gateway = _capability(report, "serving") != DIRECT
    sessions = _aci_sessions.ask(web) if gateway else ()
    return _found(web, nonce, answer.body, report=report, keys=keys, sessions=sessions)


def keyset_in(report: bytes) -> Keyset:
    """The keyset in a report that was accepted, for receipts and encryption.

    Raises:
        Malformed: it is no report.
    """
    return keysets.read(_report(report)["attestation"]["workload_keyset"])


def e2ee_versions(report: bytes) -> tuple[str, ...]:
    """Versions of encryption that a report offers. Nothing binds this list."""
    versions = _capability(_report(report), "supported_e2ee_versions")
    return tuple(v for v in versions if isinstance(v, str)) if isinstance(versions, list) else ()


def is_direct(report: bytes) -> bool:
    """Whether a report says that the service runs its models itself; any other word is a gateway."""
    return bool(_capability(_report(report), "serving") == DIRECT)


def _found(
    web: Web,
    nonce: bytes,
    body: bytes,
    *,
    report: dict[str, Any],
    keys: Keyset,
    sessions: tuple[Statement, ...],
) -> Found:
    attestation = report["attestation"]
    quote, log = _evidence(attestation)
    expected = keysets.report_data(keys.digest, nonce)
    listed = keys.has_tls(web.key, web.host)
    current = time.time() < keys.not_after
    part = Part(
        name="cpu",
        evidence=quote,
        says="REPORTDATA is the hash of a statement that names the keyset and your nonce",
        user_data=expected,
        over_nonce=True,
        event_log=log,
    )
    binding = Binding.KEY if listed else Binding.ANSWER
    restated = attestation.get("report_data")
    whole = restated in (expected[:32].hex(), expected.hex())
    held = {}
    signer = next((k for k in keys.receipts if k.algo == keysets.RECEIPT_ALGORITHM), None)
    if signer is not None:
        held["receipt"] = bytes.fromhex(signer.public_key)
    encryption = keys.e2ee_key()
    if encryption is not None:
        held["e2ee"] = from_hex(encryption.public_key, field="e2ee public_key")
    if listed:
        held["tls"] = web.key
    left = NOT_BOUND if listed else (_OTHER_KEY, *NOT_BOUND)
    left = (*left, _FAR) if keys.not_after > time.time() + _YEAR else left
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="an ACI attestation report"),
        binding=binding if current and whole else Binding.NONE,
        keys=held if current else {},
        nonce=nonce,
        not_bound=left if current else (_ENDED, *left),
        statements=(
            *_own(report, keys, listed=listed, current=current, whole=whole),
            *_provenance(attestation, quote, log),
            *sessions,
        ),
        raw={PATH: body},
    )


def _own(
    report: dict[str, Any], keys: Keyset, *, listed: bool, current: bool, whole: bool
) -> tuple[Statement, ...]:
    """What was compared here, and what the service says of itself."""
    found = [
        _measured.by_us(
            "channel_bound",
            f"the TLS key of this session is {'' if listed else 'not '}in the keyset",
            _status(listed),
        ),
        _measured.by_us("keyset_current", f"it ends at {keys.not_after} (Unix)", _status(current)),
    ]
    if not whole:
        why = "the report restates another report_data than this keyset and nonce have"
        found.append(_measured.by_us("report_consistent", why, Status.REFUTED))
    serving = _capability(report, "serving")
    word = "runs its models itself" if serving == DIRECT else "is a gateway to other services"
    found.append(_measured.said("serving", Source.PROVIDER, f"it says that it {word}"))
    if keys.subject is not None:
        found.append(_measured.said("subject", Source.PROVIDER, keys.subject[:200]))
    return (
        *found,
        _measured.unknown("gpu_attested", "the report has no evidence of GPUs"),
        _measured.unknown("model_weights_provenance", "the protocol has nothing that shows it"),
    )


def _provenance(
    attestation: dict[str, Any], quote: bytes, log: bytes | None
) -> tuple[Statement, ...]:
    evidence = attestation["evidence"]
    measured = _measured.identity(quote, log)
    held = evidence.get("app_compose")
    text = "" if held is None else keysets.text(held, "app_compose", _MAX_TEXT)
    found = [_measured.composition(measured, text), _custody(evidence, measured)]
    stated = attestation.get("source_provenance")
    named = (
        {k: v for k, v in stated.items() if isinstance(v, str)} if isinstance(stated, dict) else {}
    )
    if not named:
        why = "the report names no source"
        return (*found, _measured.unknown("source_provenance", why))
    why = ", ".join(f"{name} {value[:120]}" for name, value in sorted(named.items()))
    why = f"{why}; no measurement shows it by itself"
    return (*found, _measured.said("source_provenance", Source.OPERATOR, why))


def _custody(evidence: dict[str, Any], measured: dstack.Identity | None) -> Statement:
    """Whether a key service's chain of signatures gave the receipt key's counterpart to this app."""
    name = "key_custody"
    custody = evidence.get("key_custody")
    app_id = None if measured is None else measured.values.get("app-id")
    if not isinstance(custody, dict) or custody.get("provider") != "dstack-kms":
        return _measured.unknown(name, "the report does not show who gives the keys")
    if app_id is None:
        return _measured.unknown(name, "no app-id was measured that a chain could be for")
    keys = custody.get("keys")
    entries = [k for k in keys if isinstance(k, dict)] if isinstance(keys, list) else []
    entry = next((k for k in entries if k.get("role") == "receipt"), None)
    if entry is None:
        return _measured.unknown(name, "the chain names no receipt key")
    chain = entry.get("signature_chain")
    try:
        found = dstack_keys.signers(
            purpose=keysets.text(entry.get("purpose"), "purpose"),
            public_key=_hex(entry.get("kms_public_key"), "kms_public_key"),
            app_id=app_id,
            signatures=[
                _hex(one, "signature_chain") for one in (chain if isinstance(chain, list) else [])
            ],
        )
    except (Malformed, Unavailable) as error:
        return _measured.unknown(name, str(error))
    if found.root is None:
        return _measured.by_us(name, "the chain of signatures holds to nobody", Status.REFUTED)
    why = f"given by the dstack key service with root {found.root.hex()}, who can give them to others too"
    return _measured.by_us(name, why)


def _looks_like(body: bytes) -> bool:
    return body[:64].lstrip().startswith(b"{") and b'"api_version"' in body


def _report(body: bytes) -> dict[str, Any]:
    """A report, read as far as everything else here needs."""
    report = json.parse(body, field="attestation report", limit=_MAX_REPORT)
    if not isinstance(report, dict) or report.get("api_version") != keysets.API:
        raise Malformed(f"is not of {keysets.API}", field="attestation report")
    attestation = report.get("attestation")
    if not isinstance(attestation, dict) or not isinstance(attestation.get("evidence"), dict):
        raise Malformed("has no attestation with evidence", field="attestation report")
    if "workload_keyset" not in attestation:
        raise Malformed("has no keyset", field="attestation report")
    digest = keysets.read(attestation["workload_keyset"]).digest
    if report.get("workload_keyset_digest") != digest:
        raise Malformed("is not the digest of the keyset", field="workload_keyset_digest")
    return report


def _evidence(attestation: dict[str, Any]) -> tuple[bytes, bytes | None]:
    """The quote or report, and the event log."""
    kind = attestation.get("tee_type")
    if kind not in _TEES:
        raise Malformed(f"is {str(kind)[:40]!r}, known are {', '.join(_TEES)}", field="tee_type")
    evidence = attestation["evidence"]
    quote = _hex(evidence.get("quote"), "evidence's quote")
    log = evidence.get("event_log")
    text = "" if log is None else keysets.text(log, "evidence's event_log", _MAX_TEXT)
    return quote, text.encode("utf-8", "surrogatepass") or None


def _hex(value: Any, field: str) -> bytes:
    return from_hex(keysets.text(value, field, _MAX_TEXT), field=field)


def _capability(report: dict[str, Any], name: str) -> Any:
    capabilities = report.get("service_capabilities")
    return capabilities.get(name) if isinstance(capabilities, dict) else None


def _status(holds: bool) -> Status:
    return Status.ASSERTED if holds else Status.REFUTED


SERVICE: Final = Service(
    name=NAME, title="Attested Confidential Inference (aci/1)", ask=ask, not_bound=NOT_BOUND
)
