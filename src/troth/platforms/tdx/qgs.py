"""Asks Intel's quote generation service on the host to make a quote of a report.

Its messages: `u32be size ‖ header ‖ body`; the header is {major u16, minor u16, type u32, size u32,
error u32}, all little-endian, sizes in bytes. Source: Intel, DCAP, `qgs_msg_lib`.

Does not verify: the service is the host's, and says what it likes.
"""

import socket
import struct
from typing import Final

from troth.errors import Malformed, Unavailable
from troth.platforms.dcap.quote import MAX_QUOTE

SERVICE: Final = (2, 4050)  # vsock: the host, and the service's port
_SIZE: Final = struct.Struct(">I")
_HEADER: Final = struct.Struct("<HHIII")
_LENGTHS: Final = struct.Struct("<II")
_MAJOR, _MINOR = 1, 1
_ASK, _ANSWER = 0, 1
_TIMEOUT: Final = 30.0  # seconds; what virtual machine monitors wait
_FIELD: Final = "the quote service's answer"
_FIX: Final = "ask the host's operator whether its quote service (QGS) runs and listens on vsock"


def quote(report: bytes, *, service: tuple[int, int] | str = SERVICE) -> bytes:
    """A quote of this TDREPORT.

    Args:
        report: 1024 bytes.
        service: vsock address (context id, port), or the path of a unix socket.

    Raises:
        Unavailable: the service cannot be reached or refuses.
        Malformed: its answer is none.
    """
    size = _HEADER.size + _LENGTHS.size + len(report)
    request = _HEADER.pack(_MAJOR, _MINOR, _ASK, size, 0) + _LENGTHS.pack(len(report), 0) + report
    family = socket.AF_UNIX if isinstance(service, str) else socket.AF_VSOCK
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(service)
            connection.sendall(_SIZE.pack(len(request)) + request)
            (size,) = _SIZE.unpack(_exactly(connection, _SIZE.size))
            if size > MAX_QUOTE:
                raise Malformed(f"claims {size} bytes", field=_FIELD, offset=0)
            answer = _exactly(connection, size)
    except OSError as error:
        raise Unavailable(f"the quote service did not answer: {error}", fix=_FIX) from error
    return _quote(answer)


def _quote(answer: bytes) -> bytes:
    start = _HEADER.size + _LENGTHS.size
    if len(answer) < _HEADER.size:
        raise Malformed(f"is {len(answer)} bytes, has no header", field=_FIELD, offset=0)
    major, _, kind, size, code = _HEADER.unpack_from(answer)
    if (major, kind, size) != (_MAJOR, _ANSWER, len(answer)):
        raise Malformed(
            f"is version {major}, type {kind} and {size} bytes; should be version {_MAJOR}, type "
            f"{_ANSWER} and {len(answer)} bytes",
            field=_FIELD,
            offset=0,
        )
    if code:
        raise Unavailable(f"the quote service refused with error {code:#x}", fix=_FIX)
    if len(answer) < start:
        raise Malformed("ends before its lengths", field=_FIELD, offset=len(answer))
    chosen, length = _LENGTHS.unpack_from(answer, _HEADER.size)
    if (chosen, length) != (0, len(answer) - start):
        raise Malformed(
            f"says {chosen} bytes of id and {length} of quote; has {len(answer) - start} in all",
            field=_FIELD,
            offset=_HEADER.size,
        )
    return answer[start:]


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(size)
        if not part:
            raise Unavailable("the quote service closed the connection", fix=_FIX)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
