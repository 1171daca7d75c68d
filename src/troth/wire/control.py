"""What a host and the agent in a machine of its own say to each other beside the app's traffic.

Three ports of the host's, at vsock address 3:

    9000  the heartbeat of AWS's enclaves: one byte to the host, and the same byte back
    9001  the control channel: frames of `u32be length ‖ canonical JSON`, each an object with one key
    9002  a simulated security module, where a host stands in for the hardware: `u32be length ‖ CBOR`

On the control channel the host speaks first, `{"free": {NAME: HEX}}`, and may say `{"stop": true}`; the
agent says `{"ready": true}`, and `{"ended": CODE}` as its last, to which the host answers `{"seen": true}`.

Nothing here is protected: both sides take what the other says as something an enemy may have said.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from troth.errors import Malformed
from troth.wire import json

HOST: Final = 3
"""The host's vsock address, as seen from an enclave."""
HEARTBEAT_PORT: Final = 9000
CONTROL_PORT: Final = 9001
MODULE_PORT: Final = 9002
HEARTBEAT: Final = b"\xb7"
MAX_FREE: Final = json.MAX_BYTES
"""Bytes of the frame in which the host hands data over."""
MAX_FRAME: Final = 1024
"""Bytes of any other frame."""

_FIELD: Final = "control channel"


def pack(message: Mapping[str, Any]) -> bytes:
    """One frame."""
    body = json.canonical(dict(message))
    return len(body).to_bytes(4, "big") + body


def take(read: Callable[[int], bytes], *, limit: int = MAX_FRAME) -> tuple[str, Any] | None:
    """The next frame's one key and its value; None where the stream ends between two frames.

    Args:
        read: gives at most so many bytes, and none at the end of the stream.
        limit: the most bytes that a frame may have.

    Raises:
        Malformed: it is no such frame, or cut off.
    """
    head = _whole(read, 4)
    if not head:
        return None
    size = int.from_bytes(head, "big")
    if len(head) < 4 or size > limit:
        raise Malformed(f"a frame of {size} bytes, {limit} are the most", field=_FIELD)
    body = _whole(read, size)
    if len(body) < size:
        raise Malformed(f"ends {size - len(body)} bytes before its frame does", field=_FIELD)
    message = json.parse(body, field=_FIELD, limit=limit)
    if not isinstance(message, dict) or len(message) != 1:
        raise Malformed("holds something else than an object with one key", field=_FIELD)
    return next(iter(message.items()))


def _whole(read: Callable[[int], bytes], size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size and (part := read(size - len(parts))):
        parts += part
    return bytes(parts)
