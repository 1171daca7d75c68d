"""An answer's receipt, kept beside the evidence that its key stands in: to be checked again by anybody.

Canonical CBOR, schema `troth/answer/1`. Bodies are not in it, only their digests: whoever has the bodies
can show that they are those.
"""

from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed
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
        request: SHA-256 of the request as the application made it.
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
