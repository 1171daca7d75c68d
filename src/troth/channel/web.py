"""Asking somebody else's service for its evidence: read-only, bounded in time and size, one key throughout.

All requests of one question go over one TLS session, or over several whose leaf has the same key; a
host that changes it in between is refused. Redirections are not followed: where an answer comes from is
part of what is judged. Nothing here is secret, so nothing is lost when the verdict is no.

Does not verify the certificate's chain: evidence, not an authority, says whose key it is. What a
protocol does not bind to evidence, its module says.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

from OpenSSL import SSL

from troth.channel import dial, greeting
from troth.channel.greeting import Greeting
from troth.channel.http import Http, Response
from troth.channel.session import Session, context
from troth.errors import Malformed, Misuse, Unavailable

MAX_ANSWER: Final = 16 * 1024 * 1024
SECONDS: Final = 60.0
_MANY: Final = 64  # requests that one question may take

Dialler = Callable[[], socket.socket]


class Redirected(Unavailable):
    """The host answers with a redirection, which is not followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question over HTTP and its answer; headers of the question are not kept."""

    method: str
    path: str
    body: bytes
    answer: Response


def open_tls(
    dialler: Dialler,
    *,
    name: str,
    sni: str | None = None,
    alpn: tuple[bytes, ...] = (b"http/1.1",),
    seconds: float = SECONDS,
) -> Session:
    """A TLS 1.3 session with whoever is there; its deadline stands until `begin` or `limit`.

    Args:
        dialler: gives a connected socket.
        name: what errors call the other side.
        sni: the server's name in the handshake; None where it is dialled by an address.
        alpn: protocols to offer; whoever cares which was taken looks at `Session.protocol`.
        seconds: for the handshake and all that follows under the deadline.

    Raises:
        Unavailable: nobody there, too slow, or no TLS 1.3.
    """
    made = context()
    made.set_verify(SSL.VERIFY_NONE)
    made.set_alpn_protos(list(alpn))
    sock = _dialled(dialler, name)
    connection = SSL.Connection(made, None)
    connection.set_connect_state()
    if sni is not None:
        connection.set_tlsext_host_name(sni.encode("ascii"))
    session = Session(sock, connection, idle=seconds)
    try:
        session.handshake(seconds=seconds, alpn=None)
    except BaseException:
        session.close()
        raise
    return session


class Web:
    """One origin, asked for what it says of itself.

    Args:
        url: `https://host[:port]`, or `http://…` for protocols whose evidence travels in the clear.
        seconds: for everything that is asked here, together.
        dialler: connects in place of TCP to the address, for tests and tunnels.

    Attributes:
        exchanges: what was asked and answered until now, for transcripts.
        exported: keying material of a session, put here by a protocol that binds it.
    """

    def __init__(
        self, url: str, *, seconds: float = SECONDS, dialler: Dialler | None = None
    ) -> None:
        self.secure: Final = not url.startswith("http://")
        self._target = dial.parse(url, scheme="https" if self.secure else "http")
        self._dialler = dialler or self._target.dialler(seconds=min(seconds, dial.CONNECT_SECONDS))
        self._until = time.monotonic() + seconds
        self._asked = 0
        self._stream: Session | _Plain | None = None
        self._http: Http | None = None
        self._key: bytes | None = None
        self._certificate: bytes | None = None
        self.url: Final = url
        self.exchanges: list[Exchange] = []
        self.exported: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def host(self) -> str:
        """The name or address that was dialled."""
        return self._target.host

    @property
    def authority(self) -> str:
        """`host:port`."""
        return self._target.authority

    @property
    def key(self) -> bytes:
        """SubjectPublicKeyInfo (DER) of the TLS leaf that all answers came from.

        Raises:
            Misuse: the address is plain http.
        """
        self._open()
        if self._key is None:
            raise Misuse("plain http has no key")
        return self._key

    @property
    def certificate(self) -> bytes:
        """The TLS leaf (DER) of the newest session.

        Raises:
            Misuse: the address is plain http.
        """
        self._open()
        if self._certificate is None:
            raise Misuse("plain http has no certificate")
        return self._certificate

    def get(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_ANSWER,
    ) -> Response:
        """One GET; the answer whatever its status, but for a redirection.

        Raises:
            Malformed: the answer is not HTTP, or longer than `limit`.
            Unavailable: nobody there, too slow, another key than before, or a redirection
                (`Redirected`).
        """
        return self.request("GET", _with(path, query), headers=headers, limit=limit)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_ANSWER,
    ) -> Response:
        """One request, see `get`. Nothing that a user wants kept secret may be in it."""
        self._asked += 1
        if self._asked > _MANY:
            raise Unavailable(f"one question took more than {_MANY} requests")
        http = self._open()
        try:
            answer = http.request(method, path, body, headers or {}, limit)
        except Unavailable:
            # A server may end a session after each answer. What was asked changes nothing, so it can
            # be asked again, and whoever answers must show the same key.
            self.close()
            answer = self._open().request(method, path, body, headers or {}, limit)
        except BaseException:
            self.close()
            raise
        self.exchanges.append(Exchange(method=method, path=path, body=body, answer=answer))
        if 300 <= answer.status < 400 and answer.status != 304:
            where = next((v for n, v in answer.headers if n.lower() == "location"), "nowhere")
            raise Redirected(
                f"{self.authority} sends us to {where[:200]!r}, and redirections are not followed",
                fix="give the address at which the service itself answers",
            )
        if any(n.lower() == "connection" and "close" in v.lower() for n, v in answer.headers):
            self.close()
        return answer

    def another(self, *, alpn: tuple[bytes, ...], sni: str | None = None) -> Session:
        """One more TLS session with this host, for a protocol of its own; the caller closes it.

        Args:
            alpn: protocols to offer.
            sni: the server's name in the handshake, where it is not the host's.

        Raises:
            Misuse: the address is plain http.
            Unavailable: nobody there, too slow, or no such protocol.
        """
        if not self.secure:
            raise Misuse("plain http has no TLS session")
        left = self._until - time.monotonic()
        if left <= 0:
            raise Unavailable(f"{self.authority} took too long to say what it is")
        name = _name(self._target.host) if sni is None else sni
        return open_tls(self._dialler, name=self.authority, sni=name, alpn=alpn, seconds=left)

    def greet(
        self,
        *,
        alpn: tuple[bytes, ...],
        sni: str | None = None,
        label: bytes | None = None,
        first: Callable[[Session], bytes] | None = None,
    ) -> Greeting | None:
        """Opens one more TLS session, looks at what the server shows, and closes it.

        Args:
            alpn: protocols to offer.
            sni: the server's name in the handshake, where it is not the host's.
            label: of the exporter that is wanted.
            first: reads what the server sends by itself, where it took the first protocol offered.

        Returns:
            None where the server refuses such a session.

        Raises:
            Misuse: the address is plain http.
            Malformed: what it sends is not what `first` reads.
        """
        return greeting.parse(
            self._greeted(greeting.Asked(alpn=alpn, sni=sni, label=label, first=first))
        )

    def _greeted(self, asked: greeting.Asked) -> bytes:
        """The greeting as transcripts keep it; empty where the server refuses."""
        try:
            with self.another(alpn=asked.alpn, sni=asked.sni) as session:
                data = greeting.seen(session, asked)
        except Unavailable:
            data = b""
        answer = Response(status=0, reason="", headers=(), body=data)
        kept = Exchange(method=greeting.METHOD, path=asked.path, body=b"", answer=answer)
        self.exchanges.append(kept)
        return data

    def close(self) -> None:
        """Ends the connection; the next request opens another, which must show the same key."""
        if self._stream is not None:
            self._stream.close()
        self._stream = self._http = None

    def _open(self) -> Http:
        left = self._until - time.monotonic()
        if left <= 0:
            raise Unavailable(f"{self.authority} took too long to say what it is")
        if self._http is None or self._stream is None:
            self._stream = self._dial(left)
            self._http = Http(self._stream, self._target.authority)
        self._stream.limit(left)
        return self._http

    def _dial(self, left: float) -> "Session | _Plain":
        if not self.secure:
            return _Plain(_dialled(self._dialler, self.authority))
        session = open_tls(
            self._dialler, name=self.authority, sni=_name(self._target.host), seconds=left
        )
        try:
            key, certificate = session.peer_key(), session.peer_certificate()
        except BaseException:
            session.close()
            raise
        if self._key is not None and key != self._key:
            session.close()
            raise Unavailable(
                f"{self.authority} changed its key between two answers",
                fix="ask one instance, past any load balancer",
            )
        self._key, self._certificate = key, certificate
        return session


class _Plain:
    """A connection without TLS, under the same deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._until = 0.0

    def limit(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def read(self, size: int) -> bytes:
        try:
            self._pace()
            return self._socket.recv(size)
        except OSError as error:
            raise Unavailable(f"the connection was lost: {error}") from error

    def write(self, data: bytes) -> None:
        try:
            self._pace()
            self._socket.sendall(data)
        except OSError as error:
            raise Unavailable(f"the connection was lost: {error}") from error

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def _pace(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)


def _dialled(dialler: Dialler, name: str) -> socket.socket:
    try:
        return dialler()
    except OSError as error:
        raise Unavailable(
            f"cannot connect to {name}: {error.strerror or error}", fix="check the address"
        ) from error


def _name(host: str) -> str | None:
    """The host as SNI may carry it (RFC 6066 section 3): never an address."""
    return None if ":" in host or host.replace(".", "").isdigit() else host


def _with(path: str, query: Mapping[str, str] | None) -> str:
    if not path.startswith("/"):
        raise Misuse(f"{path!r} is no path")
    return f"{path}?{urlencode(query)}" if query else path


def json_body(answer: Response, field: str) -> bytes:
    """The body of a 200 answer, for a strict reader.

    Raises:
        Malformed: it is another status.
    """
    if answer.status != 200:
        raise Malformed(f"was answered with status {answer.status}", field=field)
    return answer.body
