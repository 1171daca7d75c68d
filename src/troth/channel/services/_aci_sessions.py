"""ACI's sessions: what a gateway says that it verified of a service behind it (`aci/1`, section 8).

A session is content-addressed, so what is read is what a receipt names. `read` leaves each claim the source
that it has there. In a report all of them are the gateway's word, so that proof and promise look different.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from troth.channel import keyset as keysets
from troth.channel.services import _measured
from troth.channel.web import Web
from troth.errors import Malformed, Unavailable
from troth.model.claims import Source
from troth.model.statement import VOCABULARY, Statement, Status
from troth.wire import json

PATH: Final = "/v1/aci/sessions"
_MOST: Final = 8  # sessions that are looked at for one report
_MAX: Final = 8 * 1024 * 1024
_SOURCES: Final[Mapping[str, Source]] = {
    "hardware_proven": Source.HARDWARE,
    "verifier_derived": Source.VERIFIER,
    "provider_asserted": Source.PROVIDER,
    "operator_asserted": Source.OPERATOR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One record.

    Attributes:
        session_id: SHA-256 of its canonical form, in hexadecimal.
        upstream: what the gateway calls the service.
        established_at, expires_at: Unix times of its validity.
        channel: SHA-256 of the keys that the gateway was bound to, in hexadecimal.
        statements: its claims.
        evidence: the bytes that the gateway judged.
    """

    session_id: str
    upstream: str
    established_at: int
    expires_at: int
    channel: tuple[str, ...]
    statements: tuple[Statement, ...]
    evidence: bytes


def read(data: bytes) -> Session:
    """Reads a whole record.

    Raises:
        Malformed: it is none, or its evidence is not what its digest says.
    """
    value = json.parse(data, field="session", limit=_MAX)
    if not isinstance(value, dict) or value.get("api_version") != keysets.API:
        raise Malformed(f"is not of {keysets.API}", field="session")
    upstream = keysets.text(value.get("upstream_name"), "upstream_name")
    evidence = value.get("evidence")
    if not isinstance(evidence, dict):
        raise Malformed("is absent", field="session's evidence")
    held = _data_uri(evidence.get("data"))
    if keysets.sha256(held) != keysets.digest_field(evidence.get("digest"), "evidence's digest"):
        raise Malformed("does not hash to its digest", field="session's evidence")
    return Session(
        session_id=hashlib.sha256(keysets.canonical(value, "session")).hexdigest(),
        upstream=upstream,
        established_at=keysets.whole(value.get("established_at"), "established_at"),
        expires_at=keysets.whole(value.get("expires_at"), "expires_at"),
        channel=tuple(_channels(value.get("channel_binding"))),
        statements=tuple(_claims(value.get("claims"), upstream)),
        evidence=held,
    )


def fetch(web: Web, session_id: str) -> Session:
    """The record of this name.

    Raises:
        Malformed: what came is another record, or none.
        Unavailable: it could not be had.
    """
    if not keysets.is_id(session_id):
        raise Malformed("is not 64 lower-case digits", field="session id")
    answer = web.get(f"{PATH}/{session_id}", limit=_MAX)
    if answer.status != 200:
        raise Unavailable(f"the session {session_id} was answered with status {answer.status}")
    session = read(answer.body)
    if session.session_id != session_id:
        raise Malformed("is the record of another session", field="session")
    return session


def ask(web: Web) -> tuple[Statement, ...]:
    """What a gateway says of the services behind it; at most eight sessions are looked at.

    Raises:
        Malformed: it lists sessions and they are none.
    """
    answer = web.get(PATH, limit=_MAX)
    if answer.status != 200:
        return (_measured.unknown("upstreams_verified", "the gateway lists no sessions"),)
    listed = json.parse(answer.body, field="sessions", limit=_MAX)
    entries = listed.get("sessions") if isinstance(listed, dict) else None
    if not isinstance(entries, list):
        raise Malformed("is not a list", field="sessions")
    found: list[Statement] = []
    for entry in entries[:_MOST]:
        named = entry.get("session_id") if isinstance(entry, dict) else None
        try:
            session = fetch(web, named if isinstance(named, str) else "")
        except Unavailable as error:
            found.append(_measured.unknown("upstreams_verified", str(error)))
            continue
        found += [_told(statement) for statement in session.statements]
    if len(entries) > _MOST:
        why = f"{len(entries) - _MOST} further sessions were not looked at"
        found.append(_measured.unknown("upstreams_verified", why))
    return tuple(found)


def _told(statement: Statement) -> Statement:
    """A claim as what it is to us: the gateway's word, about another machine than the one judged.

    Whoever judges a session's evidence himself may take the claim's own source.
    """
    name = f"upstream_{statement.name}"
    if statement.source is None:
        return replace(statement, name=name)
    why = f"{statement.why} ({statement.source} is its source there)"
    return replace(statement, name=name, source=Source.PROVIDER, why=why)


def _claims(value: Any, upstream: str) -> list[Statement]:
    claims = value if isinstance(value, dict) else {}
    return [_claim(name, claims.get(name), upstream) for name in VOCABULARY]


def _claim(name: str, value: Any, upstream: str) -> Statement:
    """One claim; whatever is not said in the protocol's words is unknown."""
    where = f"upstream {upstream[:80]}"
    claim = value if isinstance(value, dict) else {}
    source = _SOURCES.get(str(claim.get("source")))
    status = claim.get("status")
    if source is None or status not in (Status.ASSERTED, Status.REFUTED):
        return _measured.unknown(name, f"{where}: nothing is said of it")
    reason = claim.get("reason")
    why = reason[:200] if isinstance(reason, str) else "no reason is given"
    why = f"{where}, as the gateway says: {why}"
    return Statement(name=name, status=Status(status), source=source, why=why)


def _channels(value: Any) -> list[str]:
    entries = value if isinstance(value, list) else []
    held = [e for e in entries if isinstance(e, dict)]
    names = {"tls_spki_sha256": "spki_sha256", "e2ee_public_key_sha256": "public_key_sha256"}
    found = [entry.get(names.get(str(entry.get("type")), "")) for entry in held]
    return [digest for digest in found if keysets.is_id(digest) and isinstance(digest, str)]


def _data_uri(value: Any) -> bytes:
    text = keysets.text(value, "evidence's data", _MAX)
    head, mark, body = text.partition(";base64,")
    if not head.startswith("data:") or not mark:
        raise Malformed("is no data: address in base64", field="evidence's data")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("is not base64", field="evidence's data") from None
