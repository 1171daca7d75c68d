"""HTTP/1.1 requests over a stream that was verified, bounded in every direction."""

import http.client
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email import errors as defects
from types import TracebackType
from typing import Any, Final, Self

from troth.channel.client import AttestedStream, Proof
from troth.channel.stream import Stream
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.verified import Verified

MAX_BODY: Final = 64 * 1024 * 1024
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
# `int` takes a sign, a gap, an underscore and `0x` as well, and a length below zero reads without end.
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(;[^\r\n]*)?\r\n")
_LINE: Final = 1024  # bytes of a chunk's head, or of one trailer
_TRAILERS: Final = 100
_PIECE: Final = 64 * 1024
# After these the library has stopped reading, and what follows in the head would not be seen.
_BROKEN_HEAD: Final = (
    defects.FirstHeaderLineIsContinuationDefect,
    defects.MisplacedEnvelopeHeaderDefect,
    defects.MissingHeaderBodySeparatorDefect,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the application answered.

    Attributes:
        status: HTTP's number.
        reason: the words beside it.
        headers: names and values in order.
        body: all of it.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer whose body is still to come.

    Attributes:
        status: HTTP's number.
        reason: the words beside it.
        headers: names and values in order.
        pieces: the body, as it comes; to be read once. Raises `Malformed` where it does not end as HTTP
            says, or is longer than was allowed.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    pieces: Iterator[bytes]


class Connection:
    """A verified enclave that takes requests, one after the other. Made by `troth.channel.connect`.

    Attributes:
        verified: the verdict, with the claims.
        proof: what it was made of.
    """

    def __init__(self, stream: AttestedStream, authority: str) -> None:
        self._stream = stream
        self._http = Http(stream, authority)
        self.verified: Verified = stream.verified
        self.proof: Proof = stream.proof

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        max_body: int = MAX_BODY,
    ) -> Response:
        """One request, and the whole answer to it.

        Raises:
            Misuse: method, path or a header cannot be said in HTTP.
            Malformed: the answer is not HTTP, or longer than `max_body`.
            Unavailable: the connection is gone, or its evidence is too old by now.
        """
        return self._http.request(method, path, body, headers or {}, max_body)

    def close(self) -> None:
        """Ends the session."""
        self._stream.close()


class Http:
    """Requests over one stream, whatever made it; nobody has verified anything here."""

    def __init__(self, stream: Stream, authority: str) -> None:
        self._connection = http.client.HTTPConnection(authority)
        # The library asks of its socket no more than these two methods, and reads heads only.
        self._socket = self._connection.sock = _SocketLike(stream)
        # Where the server has ended the session a new one needs a new verdict, which is not ours to make.
        self._connection.auto_open = 0

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], limit: int
    ) -> Response:
        """One request and its whole answer; see `Connection.request`."""
        answer = self.open(method, path, body, headers, limit)
        return Response(
            status=answer.status,
            reason=answer.reason,
            headers=answer.headers,
            body=b"".join(answer.pieces),
        )

    def open(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes],
        headers: Mapping[str, str],
        limit: int,
    ) -> Answer:
        """One request, and the answer as it comes: the next request has to wait until it was all read.

        A body in pieces is sent as chunks, one for each, as long as none is empty.
        """
        if not _METHOD.fullmatch(method):
            raise Misuse(
                f"{method[:40]!r} is no method of HTTP", fix="use GET, POST or another word"
            )
        said, chunked = dict(headers), not isinstance(body, bytes)
        if chunked:
            said["Transfer-Encoding"] = "chunked"
        try:
            self._connection.request(
                method, path, body=body or None, headers=said, encode_chunked=chunked
            )
        except http.client.NotConnected as error:
            raise Unavailable(
                "this session has ended, or an answer in it was refused", fix="connect again"
            ) from error
        except (ValueError, http.client.HTTPException) as error:
            # The library quotes the header that it refuses, and headers hold keys.
            words = str(error).partition(" b'")[0].partition(' b"')[0]
            raise Misuse(f"cannot be said in HTTP: {words}") from None
        try:
            answer = self._head()
        except BaseException:
            self._connection.close()
            raise
        return Answer(
            status=answer.status,
            reason=answer.reason,
            headers=tuple(answer.getheaders()),
            pieces=self._read(answer, method, limit),
        )

    def _head(self) -> http.client.HTTPResponse:
        try:
            return self._connection.getresponse()
        except http.client.RemoteDisconnected as error:
            raise Unavailable(
                "the other side ended the session without an answer", fix="connect again"
            ) from error
        except (ValueError, http.client.HTTPException) as error:
            raise Malformed(f"is not HTTP/1.1: {error!r}", field="HTTP response") from error

    def _read(self, answer: http.client.HTTPResponse, method: str, limit: int) -> Iterator[bytes]:
        try:
            yield from _body(self._socket.reader, answer, method, limit)
        except BaseException:
            # What is left of this answer must not be taken for the head of the next one. Whoever stops
            # reading early comes here, too.
            self._connection.close()
            raise
        answer.close()


def _body(
    reader: io.BufferedReader, answer: http.client.HTTPResponse, method: str, limit: int
) -> Iterator[bytes]:
    """The body (RFC 9112 section 6.3), in one reading only of where it ends."""
    chunked, length = _framing(answer)
    if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
        return
    if chunked:
        yield from _chunks(reader, limit)
    elif length is not None:
        yield _exactly(reader, length, limit)
    else:
        left = limit
        while data := reader.read1(min(left + 1, _PIECE)):
            if len(data) > left:
                raise _too_long(limit)
            left -= len(data)
            yield data


def _framing(answer: http.client.HTTPResponse) -> tuple[bool, int | None]:
    """Whether a body comes in chunks, and how long it is said to be."""
    if any(isinstance(defect, _BROKEN_HEAD) for defect in answer.headers.defects):
        raise Malformed("has a line that is no field", field="HTTP response")
    lengths = {value.strip(" \t") for value in answer.headers.get_all("Content-Length", ())}
    codings = [
        value.strip(" \t").lower() for value in answer.headers.get_all("Transfer-Encoding", ())
    ]
    if codings not in ([], ["chunked"]):
        raise Malformed(f"is {str(codings)[:60]}, and must be chunked", field="Transfer-Encoding")
    if codings and lengths:
        raise Malformed("stands beside a Transfer-Encoding", field="Content-Length")
    if len(lengths) > 1:
        raise Malformed(f"is said to be {str(sorted(lengths))[:60]}", field="Content-Length")
    if not all(map(_LENGTH.fullmatch, lengths)):
        raise Malformed(
            f"is {min(lengths)[:40]!r}, and must be decimal digits", field="Content-Length"
        )
    return bool(codings), int(lengths.pop()) if lengths else None


def _chunks(reader: io.BufferedReader, limit: int) -> Iterator[bytes]:
    """A body in chunks (RFC 9112 section 7.1); extensions and trailers are dropped."""
    left = limit
    while True:
        head = _CHUNK.fullmatch(reader.readline(_LINE))
        if head is None:
            raise Malformed("has a chunk without a size in hexadecimal", field="HTTP response body")
        size = int(head[1], 16)
        if size == 0:
            break
        if size > left:
            raise _too_long(limit)
        left -= size
        data = _exactly(reader, size, limit)
        if reader.read(2) != b"\r\n":
            raise Malformed("has a chunk of another size than it says", field="HTTP response body")
        yield data
    for _ in range(_TRAILERS):
        line = reader.readline(_LINE)
        if line == b"\r\n":
            return
        if not line.endswith(b"\r\n"):
            break
    raise Malformed("has no end after its last chunk", field="HTTP response body")


def _exactly(reader: io.BufferedReader, size: int, limit: int) -> bytes:
    if size > limit:
        raise _too_long(limit)
    data = reader.read(size)
    if len(data) < size:
        raise Malformed(f"ends {size - len(data)} bytes early", field="HTTP response body")
    return data


def _too_long(limit: int) -> Malformed:
    return Malformed(f"is longer than {limit} bytes", field="HTTP response body")


class _SocketLike:
    """A stream with the two methods of a socket that `http.client` uses.

    Attributes:
        reader: what the library reads the newest answer's head from; its body follows there.
    """

    reader: io.BufferedReader

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def sendall(self, data: bytes | Iterable[bytes]) -> None:
        self._stream.write(data if isinstance(data, bytes) else b"".join(data))

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        self.reader = io.BufferedReader(_Raw(self._stream))
        return self.reader

    def close(self) -> None:
        """The library closes when it has read a head; the body is still to be read from the stream."""


class _Raw(io.RawIOBase):
    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
