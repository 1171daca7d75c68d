"""HTTP/1.1 requests over a stream that was verified, bounded in every direction."""

import http.client
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from troth.channel.client import AttestedStream, Proof
from troth.channel.stream import Stream
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.verified import Verified

MAX_BODY: Final = 64 * 1024 * 1024
_METHOD: Final = re.compile(r"[A-Z]{1,16}")


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


class Connection:
    """A verified enclave that takes requests, one after the other. Made by `troth.channel.connect`.

    Attributes:
        verified: the verdict, with the claims.
        proof: what it was made of.
    """

    def __init__(self, stream: AttestedStream, authority: str) -> None:
        self._stream = stream
        self._http = _Http(stream, authority)
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


class _Http:
    def __init__(self, stream: Stream, authority: str) -> None:
        self._connection = http.client.HTTPConnection(authority)
        # The library asks of its socket no more than these two methods.
        self._connection.sock = _SocketLike(stream)
        # Where the server has ended the session a new one needs a new verdict, which is not ours to make.
        self._connection.auto_open = 0

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], limit: int
    ) -> Response:
        if not _METHOD.fullmatch(method):
            raise Misuse(
                f"{method[:40]!r} is no method of HTTP", fix="use GET, POST or another word"
            )
        try:
            self._connection.request(method, path, body=body or None, headers=dict(headers))
        except http.client.NotConnected as error:
            raise Unavailable(
                "the other side has ended this session", fix="connect again"
            ) from error
        except (ValueError, http.client.HTTPException) as error:
            raise Misuse(f"cannot be said in HTTP: {error}") from error
        try:
            answer = self._connection.getresponse()
            data = answer.read(limit + 1)
        except http.client.RemoteDisconnected as error:
            raise Unavailable(
                "the other side ended the session without an answer", fix="connect again"
            ) from error
        except (ValueError, http.client.HTTPException) as error:
            raise Malformed(f"is not HTTP/1.1: {error!r}", field="HTTP response") from error
        if len(data) > limit:
            raise Malformed(f"is longer than {limit} bytes", field="HTTP response body")
        if answer.length:  # the library's count of what the header promised and did not come
            raise Malformed(f"ends {answer.length} bytes early", field="HTTP response body")
        return Response(
            status=answer.status,
            reason=answer.reason,
            headers=tuple(answer.getheaders()),
            body=data,
        )


class _SocketLike:
    """A stream with the two methods of a socket that `http.client` uses."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def sendall(self, data: bytes | Iterable[bytes]) -> None:
        self._stream.write(data if isinstance(data, bytes) else b"".join(data))

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self._stream))

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
