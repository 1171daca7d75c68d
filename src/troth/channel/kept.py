"""An answer's receipt, kept beside the evidence that its key stands in: to be checked again by anybody.

Canonical CBOR, schema `troth/answer/1`. Bodies are not in it, only their digests: whoever has the bodies
can show that they are those.

Does not verify the evidence: `checks` says whether a receipt is by a key that the evidence names, and
nothing of it counts before that evidence was accepted.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from troth.channel import keyset, receipts, signatures
from troth.channel.receipts import Exchange
from troth.channel.services import Asked, aci
from troth.channel.transcript import pack as pack_transcript
from troth.errors import Malformed, Misuse
from troth.model.check import Check, failed
from troth.model.codes.answer import B411
from troth.wire import cbor

SCHEMA: Final = "troth/answer/1"
MAX_BYTES: Final = 1024 * 1024
_KEYS: Final = frozenset(
    {"schema", "service", "evidence", "request", "response", "model", "endpoint", "at", "receipt"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """One answer.

    Attributes:
        service: name of the protocol.
        evidence: SHA-256 of the transcript that was accepted before.
        request: SHA-256 of the request that the receipt is for: as it was sent, or where fields were
            encrypted as the service restores it.
        response: SHA-256 of the answer's bytes as they came.
        model, endpoint: what was asked for.
        at: Unix time at which it was accepted, by the keeper's clock.
        receipt: receipt or signature as it came.
    """

    service: str
    evidence: bytes
    request: bytes
    response: bytes
    model: str
    endpoint: str
    at: int
    receipt: bytes


def pack(answer: KeptAnswer) -> bytes:
    """Its one encoding."""
    return cbor.encode(
        {"schema": SCHEMA} | {name: getattr(answer, name) for name in KeptAnswer.__slots__}
    )


def unpack(data: bytes) -> KeptAnswer:
    """Reads one.

    Raises:
        Malformed: not the one encoding of a kept answer.
    """
    if len(data) > MAX_BYTES:
        raise Malformed(f"is larger than {MAX_BYTES} bytes", field="kept answer", offset=0)
    value: Any = cbor.decode(data, field="kept answer")
    if not isinstance(value, dict) or set(value) != _KEYS or value["schema"] != SCHEMA:
        raise Malformed(f"is not of schema {SCHEMA}", field="kept answer", offset=0)
    if cbor.encode(value) != data:
        raise Malformed("is not canonical", field="kept answer")
    kinds = {"service": str, "model": str, "endpoint": str, "at": int}
    for name in KeptAnswer.__slots__:
        if type(value[name]) is not kinds.get(name, bytes):
            raise Malformed("is of another type", field=f"kept answer's {name}")
    return KeptAnswer(**{name: value[name] for name in KeptAnswer.__slots__})


def checks(answer: KeptAnswer, asked: Asked) -> tuple[Check, ...]:
    """Whether a kept receipt is for what it was kept for, by a key in this evidence.

    Args:
        answer: unpacked.
        asked: the service's answers, read again out of their transcript; judged by the caller.

    Raises:
        Malformed: the receipt is none.
        Misuse: the service's protocol signs no answers.
    """
    if hashlib.sha256(pack_transcript(asked.transcript)).digest() != answer.evidence:
        return (failed(B411, "kept answer", why="it was kept beside other evidence"),)
    found = asked.found
    if found.service == aci.NAME:
        report = found.raw[aci.PATH]
        exchange = Exchange(
            request=f"sha256:{answer.request.hex()}",
            response=f"sha256:{answer.response.hex()}",
            model=answer.model,
            endpoint=answer.endpoint,
            direct=aci.is_direct(report),
            any_upstream=True,  # which was asked for then is not kept
        )
        keys: keyset.Keyset = aci.keyset_in(report)
        return receipts.checks(receipts.read(answer.receipt), keys, exchange)
    addresses = {key for role, key in found.keys.items() if role.startswith("address")}
    if not addresses:
        raise Misuse(f"{found.service} signs no answers")
    signed = signatures.read(answer.receipt)
    return signatures.checks(
        signed,
        address=signed.address if signed.address in addresses else min(addresses),
        request=answer.request.hex(),
        response=answer.response.hex(),
        model=answer.model,
    )
