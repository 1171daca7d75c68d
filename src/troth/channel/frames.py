"""The two messages between handshake and application: a question with a nonce, an answer with evidence.

Each is `u32be length ‖ canonical CBOR`, bounded before it is read, and there is one encoding only.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed
from troth.wire import cbor

VERSION: Final = 1
NONCE_SIZE: Final = 32
MAX_QUESTION: Final = 256
MAX_ANSWER: Final = 64 * 1024  # three times the largest evidence of any platform spoken here
_MAX_PLATFORM: Final = 32
_HEAD: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The client's: evidence over this nonce, please.

    Attributes:
        nonce: 32 bytes that the client drew for this session.
    """

    nonce: bytes

    def encode(self) -> bytes:
        """The frame's bytes, length included."""
        return _frame({"v": VERSION, "nonce": self.nonce})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The server's: evidence over this session. Read, not believed.

    Attributes:
        platform: what the server calls the evidence; the verifier looks for itself.
        evidence: as the platform makes it.
    """

    platform: str
    evidence: bytes

    def encode(self) -> bytes:
        """The frame's bytes, length included."""
        return _frame({"v": VERSION, "platform": self.platform, "evidence": self.evidence})


def read_question(take: Callable[[int], bytes]) -> Question:
    """Reads the client's message.

    Args:
        take: gives exactly so many bytes, or raises one of our errors.

    Raises:
        Malformed: any departure from the form.
    """
    value = _read(take, "channel question", MAX_QUESTION, {"v", "nonce"})
    nonce = value["nonce"]
    if not isinstance(nonce, bytes) or len(nonce) != NONCE_SIZE:
        raise Malformed(f"is not {NONCE_SIZE} bytes", field="channel question nonce")
    return Question(nonce=nonce)


def read_answer(take: Callable[[int], bytes]) -> Answer:
    """Reads the server's message; arguments and errors as `read_question`."""
    value = _read(take, "channel answer", MAX_ANSWER, {"v", "platform", "evidence"})
    platform, evidence = value["platform"], value["evidence"]
    if not isinstance(platform, str) or not 1 <= len(platform) <= _MAX_PLATFORM:
        raise Malformed("is not a short text", field="channel answer platform")
    if not isinstance(evidence, bytes) or not evidence:
        raise Malformed(
            "is not a byte string with something in it", field="channel answer evidence"
        )
    return Answer(platform=platform, evidence=evidence)


def _frame(value: dict[str, Any]) -> bytes:
    body = cbor.encode(value)
    return _HEAD.pack(len(body)) + body


def _read(take: Callable[[int], bytes], field: str, limit: int, names: set[str]) -> dict[str, Any]:
    (size,) = _HEAD.unpack(take(_HEAD.size))
    if not 1 <= size <= limit:
        raise Malformed(f"claims {size} bytes, should be 1 to {limit}", field=field, offset=0)
    body = take(size)
    value = cbor.decode(body, field=field, base=_HEAD.size)
    if not isinstance(value, dict) or set(value) != names:
        raise Malformed(f"is not a map of {', '.join(sorted(names))}", field=field)
    if value["v"] is not VERSION:
        raise Malformed(f"is version {value['v']!r}, should be {VERSION}", field=field)
    if cbor.encode(value) != body:
        raise Malformed("is not canonical: its keys are not sorted", field=field)
    return value
