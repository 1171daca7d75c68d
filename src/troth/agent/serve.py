"""The API's socket: bounded HTTP/1.1 over a unix socket, a thread for each connection.

The standard library's server would do, but what it loads for headers that are never needed here takes,
on an emulated processor, as long as the agent's whole answer to its first caller.
"""

import contextlib
import re
import socket
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final

from troth.agent.api import MAX_BODY, Answer, Api
from troth.wire import json

SECONDS: Final = 10.0
MOST_CONNECTIONS: Final = 64
_BACKLOG: Final = 512
"""A full queue is an error for callers with a timeout, not a wait."""
_MAX_LINE: Final = 64 * 1024
_MAX_HEAD: Final = 128 * 1024
"""Bytes of all headers: as many as there may be, on as many connections, are some megabytes."""
_MOST_HEADERS: Final = 100
PAUSE: Final = 0.1
"""Seconds until it is tried again where no descriptor or no thread is left."""
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110 section 5.6.2
_LENGTH: Final = re.compile(rb"[0-9]{1,8}")
_METHODS: Final = (b"GET", b"POST")


class _Wrong(Exception):  # noqa: N818 - an answer, not a fault of ours
    """This is no request that is answered, and nobody knows where the next one would begin."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def serve(path: Path, api: Api) -> None:
    """Serves the API on this socket, from threads of its own, until the process ends.

    Args:
        path: the socket's; anybody inside the enclave may connect.
        api: what answers.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(_BACKLOG)
    threading.Thread(target=_accept, args=(listener, api), daemon=True).start()


def _accept(listener: socket.socket, api: Api) -> None:
    """Takes connections; waits while too many are open, so that an app cannot exhaust the agent."""
    room = threading.BoundedSemaphore(MOST_CONNECTIONS)
    while True:
        room.acquire()
        try:
            sock, _ = listener.accept()
            threading.Thread(target=_connection, args=(sock, api, room), daemon=True).start()
        except (OSError, RuntimeError):  # no descriptor or no thread is left; later there is
            room.release()
            time.sleep(PAUSE)


def _connection(sock: socket.socket, api: Api, room: threading.BoundedSemaphore) -> None:
    """One connection until it ends; one that breaks is the peer's affair, and the agent goes on."""
    try:
        with sock, contextlib.suppress(OSError), sock.makefile("rb") as stream:
            sock.settimeout(SECONDS)
            while _one(sock, stream, api):
                pass
    finally:
        room.release()


def _one(sock: socket.socket, stream: BinaryIO, api: Api) -> bool:
    """Answers one request; whether another may follow."""
    try:
        first = _line(stream, HTTPStatus.REQUEST_URI_TOO_LONG)
        if not first:
            return False
        method, path, lasting = _request(first)
        headers = _headers(stream)
        size = _size(method, headers)
        if headers.get(b"expect", b"").lower() == b"100-continue":
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = stream.read(size)
        if len(body) < size:
            return False
    except _Wrong as wrong:
        _send(sock, wrong.status, {"error": str(wrong), "fix": "mend the request"}, lasting=False)
        return False
    said = headers.get(b"connection", b"").lower()
    lasting = b"close" not in said and (lasting or b"keep-alive" in said)
    status, answer = api.answer(method.decode("ascii"), path.decode("latin-1"), body)
    _send(sock, status, answer, lasting=lasting)
    return lasting


def _line(stream: BinaryIO, too_long: HTTPStatus) -> bytes:
    line = stream.readline(_MAX_LINE + 1)
    if len(line) > _MAX_LINE:
        raise _Wrong(too_long, f"a line is over {_MAX_LINE} bytes")
    if line and not line.endswith(b"\n"):
        raise _Wrong(HTTPStatus.BAD_REQUEST, "the request ends early")
    return line


def _request(line: bytes) -> tuple[bytes, bytes, bool]:
    """Method, path, and whether the connection lasts if nothing else is said."""
    words = line.split()
    if len(words) != 3 or not _VERSION.fullmatch(words[2]):
        raise _Wrong(HTTPStatus.BAD_REQUEST, "the first line is not that of a request")
    if words[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise _Wrong(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here")
    return words[0], words[1], words[2] == b"HTTP/1.1"


def _headers(stream: BinaryIO) -> dict[bytes, bytes]:
    """By their names in small letters; values of one name are joined, as RFC 9110 section 5.3 says."""
    found: dict[bytes, bytes] = {}
    size = 0
    for _ in range(_MOST_HEADERS + 1):
        whole = _line(stream, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        size += len(whole)
        if not whole:
            raise _Wrong(HTTPStatus.BAD_REQUEST, "the request ends early")
        if size > _MAX_HEAD:
            break
        line = whole.rstrip(b"\r\n")
        if not line:
            return found
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise _Wrong(HTTPStatus.BAD_REQUEST, "a header is not in its form")
        before = found.get(name.lower())
        found[name.lower()] = value.strip() if before is None else before + b", " + value.strip()
    raise _Wrong(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too many or too long")


def _size(method: bytes, headers: dict[bytes, bytes]) -> int:
    """Bytes of the body."""
    if method not in _METHODS:
        raise _Wrong(HTTPStatus.NOT_IMPLEMENTED, "the calls are GET and POST")
    length = headers.get(b"content-length", b"0" if method == b"GET" else b"")
    if method == b"GET":
        if length != b"0" or b"transfer-encoding" in headers:
            raise _Wrong(HTTPStatus.BAD_REQUEST, "a GET has no body")
        return 0
    if b"transfer-encoding" in headers or not _LENGTH.fullmatch(length):
        raise _Wrong(HTTPStatus.LENGTH_REQUIRED, "Content-Length is needed")
    if int(length) > MAX_BODY:
        raise _Wrong(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {MAX_BODY} bytes")
    return int(length)


def _send(sock: socket.socket, status: HTTPStatus, answer: Answer, *, lasting: bool) -> None:
    data = json.canonical(answer)
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Server: troth-agent",
        time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        *([] if lasting else ["Connection: close"]),
    ]
    sock.sendall("\r\n".join(head).encode("ascii") + b"\r\n\r\n" + data)
