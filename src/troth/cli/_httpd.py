"""A small HTTP/1.1 server for what troth publishes: files of a log, answers of a witness.

Many connections at once, each bounded: in the size of what it asks, in the time that it takes to ask, and in the time
that it takes to be answered. Bodies need a Content-Length. Answers that are long are read and sent piece by piece.
"""

import asyncio
import contextlib
import io
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, Final

from troth.errors import Misuse, TrothError, Unavailable

_MOST_CONNECTIONS: Final = 400  # each may have a file open, and 1,024 is what many systems allow
_MOST_HEAD: Final = 8 * 1024
_HEAD_SECONDS: Final = 15.0
_BODY_SECONDS: Final = 15.0
_PIECE_SECONDS: Final = 30.0  # for 64 KiB: slower readers are left
_PIECE: Final = 64 * 1024
_REQUEST: Final = re.compile(r"([A-Z]{1,16}) (/[!-~]{0,1023}) HTTP/1\.([01])")
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):([\t -~\x80-\xff]*)")
_LENGTH: Final = re.compile(r"[0-9]{1,9}")
_ADDRESS: Final = re.compile(r"(\[[0-9a-f:]+\]|[^:\s\[\]]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request.

    Attributes:
        method: such as GET.
        path: as it stands in the request, with the query.
        body: all of it.
    """

    method: str
    path: str
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer.

    Attributes:
        status: HTTP's.
        content_type: of the body.
        body: its bytes, or an open file, which is closed when it was sent or could not be.
        size: of the body.
        cache: for Cache-Control.
    """

    status: HTTPStatus
    content_type: str
    body: BinaryIO
    size: int
    cache: str = "no-store"


Handler = Callable[[Asked], Told]
"""Called on a thread of its own, and of several at once. Raises `TrothError` for what is answered with 503."""


def words(status: HTTPStatus, text: str) -> Told:
    """An answer in words."""
    return of(status, text.encode() + b"\n", content_type="text/plain; charset=utf-8")


def of(status: HTTPStatus, data: bytes, *, content_type: str, cache: str = "no-store") -> Told:
    """An answer that is at hand."""
    return Told(
        status=status,
        content_type=content_type,
        body=io.BytesIO(data),
        size=len(data),
        cache=cache,
    )


def listen(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080`.

    Raises:
        Misuse: it is none.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[2]) > 65535:
        raise Misuse(f"{text[:60]!r} is no address to listen on", fix="write 127.0.0.1:8080")
    return match[1].strip("[]"), int(match[2])


def serve(
    address: tuple[str, int],
    handler: Handler,
    *,
    most_body: int = 0,
    ready: Callable[[str], object],
    complain: Callable[[TrothError], object],
) -> None:
    """Serves until the process is told to end (SIGINT, SIGTERM).

    Args:
        address: host and port; port 0 takes a free one.
        handler: answers.
        most_body: bytes of a request's body; longer ones are refused unread.
        ready: is told `host:port` once connections are taken.
        complain: is told what made an answer 503.

    Raises:
        Unavailable: it cannot listen there.
    """
    asyncio.run(_serve(address, _Server(handler, most_body, complain), ready))


async def _serve(
    address: tuple[str, int], server: "_Server", ready: Callable[[str], object]
) -> None:
    host, port = address
    try:
        listening = await asyncio.start_server(
            server.connection, host, port, limit=_MOST_HEAD, backlog=256
        )
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}",
            fix="name another port",
        ) from None
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, ended.set)
    name, taken = listening.sockets[0].getsockname()[:2]
    ready(f"[{name}]:{taken}" if ":" in name else f"{name}:{taken}")
    await ended.wait()
    listening.close()
    server.end()


class _Server:
    def __init__(
        self, handler: Handler, most_body: int, complain: Callable[[TrothError], object]
    ) -> None:
        self._handler = handler
        self._most_body = most_body
        self._complain = complain
        self._open: set[asyncio.StreamWriter] = set()

    def end(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends or takes too long."""
        if len(self._open) >= _MOST_CONNECTIONS:
            writer.transport.abort()  # an answer would have to be waited for
            return
        self._open.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
            writer.close()
            async with asyncio.timeout(_PIECE_SECONDS):
                await writer.wait_closed()
        except (OSError, EOFError, TimeoutError):
            pass  # a connection that breaks is the peer's affair
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            return await _send(writer, words(status, "the request's head is too long"), last=True)
        match _head(head.decode("latin-1")):
            case HTTPStatus() as status:
                return await _send(writer, words(status, status.phrase.lower()), last=True)
            case method, path, size, last:
                pass
        if size > self._most_body:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            told = words(status, f"a body of more than {self._most_body} bytes is not read")
            return await _send(writer, told, last=True)
        async with asyncio.timeout(_BODY_SECONDS):
            body = await reader.readexactly(size)
        asked = Asked(method=method, path=path, body=body)
        try:
            told = await asyncio.to_thread(self._handler, asked)
        except TrothError as error:
            self._complain(error)
            told = words(HTTPStatus.SERVICE_UNAVAILABLE, "not now")
        return await _send(writer, told, last=last, bare=method == "HEAD")


def _head(text: str) -> tuple[str, str, int, bool] | HTTPStatus:
    """Method, path, length of the body, and whether the connection ends then; or what is wrong."""
    line, *rest = text[:-4].split("\r\n")
    request = _REQUEST.fullmatch(line)
    fields = [_FIELD.fullmatch(field) for field in rest]
    if request is None or not all(fields):
        return HTTPStatus.BAD_REQUEST
    found: dict[str, list[str]] = {}
    for field in filter(None, fields):
        found.setdefault(field[1].lower(), []).append(field[2].strip(" \t"))
    if "transfer-encoding" in found:
        return HTTPStatus.LENGTH_REQUIRED
    lengths = found.get("content-length", ["0"])
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        return HTTPStatus.BAD_REQUEST
    wish = ",".join(found.get("connection", ())).lower()
    last = "close" in wish or (request[3] == "0" and "keep-alive" not in wish)
    return request[1], request[2], int(lengths[0]), last


async def _send(
    writer: asyncio.StreamWriter, told: Told, *, last: bool, bare: bool = False
) -> bool:
    """Sends an answer; whether the connection may go on."""
    lines = (
        f"HTTP/1.1 {told.status.value} {told.status.phrase}",
        f"Content-Type: {told.content_type}",
        f"Content-Length: {told.size}",
        f"Cache-Control: {told.cache}",
        "X-Content-Type-Options: nosniff",
        f"Connection: {'close' if last else 'keep-alive'}",
    )
    with told.body as body:
        await _write(writer, "\r\n".join((*lines, "", "")).encode("latin-1"))
        left = 0 if bare else told.size
        while left:
            piece = await asyncio.to_thread(body.read, min(left, _PIECE))
            if not piece:
                raise EOFError  # what was promised is not there any more: the connection ends
            await _write(writer, piece)
            left -= len(piece)
    return not last


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    async with asyncio.timeout(_PIECE_SECONDS):
        await writer.drain()
