"""Receipts of ACI (`aci/1`, section 7): a signed log of what a service did with one request.

Read strictly, then compared with the very bytes that went out and came in. What is signed is the
canonical form (RFC 8785) of the document without its signature.

Does not verify that what an attested service says of itself is true: times, upstreams and rewrites are
as true as its measured code. Nothing orders receipts, and nothing keeps them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth.channel import keyset as aci
from troth.channel.keyset import Keyset
from troth.crypto.signature import ed25519_raw
from troth.errors import Malformed
from troth.model.check import Check, failed, passed, undecided
from troth.model.codes import Code
from troth.model.codes.answer import B411, B412, B413, B414, B415, B416, B417
from troth.wire import json

RECEIVED: Final = "request.received"
FORWARDED: Final = "request.forwarded"
VERIFIED: Final = "upstream.verified"
RETURNED: Final = "response.returned"
MAX_BYTES: Final = 256 * 1024
_MAX_EVENTS: Final = 256
_MEMBERS: Final = frozenset(
    {
        "api_version",
        "receipt_id",
        "chat_id",
        "model",
        "workload_keyset_digest",
        "endpoint",
        "method",
        "served_at",
        "event_log",
        "key_id",
        "signature",
    }
)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")
# What a receipt must answer before the answer that it is for counts.
REQUIRED: Final[tuple[Code, ...]] = (B411, B412, B413, B414, B415, B416)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Attributes:
        kind: its type; services may have their own.
        body_hash: `sha256:` and a digest, or empty.
        says: all its members.
    """

    kind: str
    body_hash: str
    says: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt. Read, not believed.

    Attributes:
        receipt_id, chat_id, model, endpoint, method: as they stand; empty where null.
        keyset_digest: of the keyset that it was made under.
        served_at: Unix time, by the service's own clock.
        events: in their order.
        key_id: which of the keyset's keys signed it.
        signature: 64 bytes.
        signed: the bytes that it is over.
    """

    receipt_id: str
    chat_id: str
    model: str
    keyset_digest: str
    endpoint: str
    method: str
    served_at: int
    events: tuple[Event, ...]
    key_id: str
    signature: bytes
    signed: bytes = field(repr=False)

    def first(self, kind: str) -> Event | None:
        """The first event of a type."""
        return next((event for event in self.events if event.kind == kind), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What a receipt has to be for.

    Attributes:
        request: `sha256:` and the digest of the bytes that were sent, or where fields were encrypted of
            the body as the service restores it.
        response: `sha256:` and the digest of the bytes that came in, framing of a stream included.
        model: that was asked for, byte for byte; empty where the body names none.
        endpoint: the path that was asked.
        method: `POST`.
        direct: whether the service says that it runs the model itself. Where its receipt names an
            upstream all the same, that is looked at.
        verified: whether an upstream must have been verified.
        any_upstream: whether the caller gave that up by name; nothing is then asked of it.
        sessions: the sessions that the caller accepts; empty for any.
    """

    request: str
    response: str
    model: str
    endpoint: str
    method: str = "POST"
    direct: bool = True
    verified: bool = False
    any_upstream: bool = False
    sessions: frozenset[str] = frozenset()


def read(data: bytes) -> Receipt:
    """Reads a receipt.

    Raises:
        Malformed: another version, a member missing, unknown or of another form.
    """
    value = json.parse(data, field="receipt", limit=MAX_BYTES)
    top = aci.members(value, "receipt", _MEMBERS)
    if top["api_version"] != aci.API:
        raise Malformed(f"is not {aci.API}", field="api_version")
    signature = top["signature"]
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise Malformed("is not 64 bytes in lower-case hexadecimal", field="signature")
    log = top["event_log"]
    if not isinstance(log, list) or not 1 <= len(log) <= _MAX_EVENTS:
        raise Malformed(f"is not a list of 1 to {_MAX_EVENTS} events", field="event_log")
    return Receipt(
        receipt_id=aci.text(top["receipt_id"], "receipt_id"),
        chat_id=_maybe(top["chat_id"], "chat_id"),
        model=_maybe(top["model"], "model"),
        keyset_digest=aci.digest_field(top["workload_keyset_digest"], "workload_keyset_digest"),
        endpoint=aci.text(top["endpoint"], "endpoint"),
        method=aci.text(top["method"], "method"),
        served_at=aci.whole(top["served_at"], "served_at"),
        events=tuple(_event(event) for event in log),
        key_id=aci.text(top["key_id"], "key_id"),
        signature=bytes.fromhex(signature),
        signed=aci.canonical({name: top[name] for name in _MEMBERS - {"signature"}}, "receipt"),
    )


def checks(receipt: Receipt, keyset: Keyset, exchange: Exchange) -> tuple[Check, ...]:
    """Everything that a receipt must answer (section 9.3), each as a check.

    Args:
        receipt: fetched for this exchange.
        keyset: of evidence that was accepted.
        exchange: what went out and came in.
    """
    subject = f"receipt {receipt.receipt_id[:80]}"
    found = [
        _signature(subject, receipt, keyset),
        _same(B412, subject, receipt.keyset_digest, keyset.digest),
        _order(subject, receipt),
        _bodies(subject, receipt, exchange),
        _same(B414, subject, _hash(receipt, RETURNED), exchange.response),
        _same(
            B416,
            subject,
            f"{receipt.model} {receipt.method} {receipt.endpoint}",
            f"{exchange.model} {exchange.method} {exchange.endpoint}",
        ),
    ]
    if not exchange.any_upstream and not (exchange.direct and receipt.first(VERIFIED) is None):
        found.append(_upstream(subject, receipt, exchange))
    return tuple(found)


def absent(subject: str, why: str) -> tuple[Check, ...]:
    """The check of whoever has an answer and no receipt for it."""
    return (failed(B411, subject, why=why),)


def rewritten(receipt: Receipt) -> bool:
    """Whether the service says that it asked the model something else than it was asked."""
    forwarded = receipt.first(FORWARDED)
    return forwarded is not None and forwarded.body_hash != _hash(receipt, RECEIVED)


def _signature(subject: str, receipt: Receipt, keyset: Keyset) -> Check:
    key = keyset.receipt_key(receipt.key_id)
    if key is None:
        why = f"its key {receipt.key_id[:80]!r} is not in the keyset"
        return failed(B411, subject, why=why)
    wrong = ed25519_raw(key, receipt.signature, receipt.signed)
    return failed(B411, subject, why=wrong) if wrong else passed(B411, subject)


def _order(subject: str, receipt: Receipt) -> Check:
    """Each of the protocol's events at most once and in its order, the first of all first."""
    kinds = [event.kind for event in receipt.events]
    wrong = ""
    if kinds[0] != RECEIVED:
        wrong = f"its first event is {kinds[0][:40]!r}"
    for kind in (RECEIVED, FORWARDED, RETURNED):
        if kinds.count(kind) > 1:
            wrong = f"{kind} comes twice"
    if RETURNED not in kinds:
        wrong = "it says nothing of an answer"
    elif FORWARDED not in kinds:
        wrong = "the request was not forwarded: this is a refusal's receipt"
    elif kinds.index(RETURNED) < kinds.index(FORWARDED):
        wrong = "the answer comes before the request was forwarded"
    if wrong:
        return failed(B415, subject, presented=", ".join(kinds)[:200], why=wrong)
    return passed(B415, subject)


def _bodies(subject: str, receipt: Receipt, exchange: Exchange) -> Check:
    presented = _hash(receipt, RECEIVED)
    if presented == exchange.request:
        why = "the service rewrote it before it was answered" if rewritten(receipt) else ""
        return passed(B413, subject, presented=presented, why=why)
    return failed(B413, subject, presented=presented, expected=exchange.request)


def _upstream(subject: str, receipt: Receipt, exchange: Exchange) -> Check:
    """What a gateway says of the service behind it; the last event of several counts."""
    found = [event for event in receipt.events if event.kind == VERIFIED]
    if not found:
        return failed(B417, subject, why="a gateway's receipt must say who was behind it")
    event = found[-1]
    session = event.says.get("session_id")
    if event.says.get("result") != "verified" or not aci.is_id(session):
        why = str(event.says.get("reason", "the service behind it was not verified"))[:200]
        settle = failed if exchange.verified or event.says.get("required") is True else undecided
        return settle(B417, subject, why=why)
    if exchange.verified and event.says.get("required") is not True:
        return failed(B417, subject, why="verification was not required for this request")
    if exchange.sessions and session not in exchange.sessions:
        return failed(
            B417, subject, presented=str(session), expected=", ".join(sorted(exchange.sessions))
        )
    return passed(B417, subject, presented=f"session {session}", source="the gateway")


def _same(code: Code, subject: str, presented: str, expected: str) -> Check:
    settle = passed if presented == expected else failed
    return settle(code, subject, presented=presented[:300], expected=expected[:300])


def _hash(receipt: Receipt, kind: str) -> str:
    event = receipt.first(kind)
    return "" if event is None else event.body_hash


def _event(value: Any) -> Event:
    if not isinstance(value, dict):
        raise Malformed("is not an object", field="event")
    kind = aci.text(value.get("type"), "event type")
    held = value.get("body_hash")
    hashed = kind in (RECEIVED, FORWARDED, RETURNED)
    return Event(
        kind=kind,
        body_hash=aci.digest_field(held, f"body_hash of {kind}") if hashed else "",
        says=value,
    )


def _maybe(value: Any, field_name: str) -> str:
    return "" if value is None else aci.text(value, field_name)
