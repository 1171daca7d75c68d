"""A server on 127.0.0.1, or on a unix socket: HTTP/1.1 over TLS 1.3 or in the clear. For simulators.

It reads what a friendly client sends, one request after the other, and is no server for strangers.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from troth.channel.session import Session, context
from troth.errors import TrothError

_POLL: Final = 0.05
_SECONDS: Final = 10.0
_HEAD: Final = 64 * 1024
_RECORD_HEAD: Final = 5
Extensions = Sequence[tuple[str, bytes]]
"""Object identifiers in dotted form with the bytes of each extension's value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        method: in capitals.
        path: without the query.
        query: names to values.
        body: all of it.
        host: what the client calls the server.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer.

    Attributes:
        status: HTTP's number.
        body: all of it.
        headers: beside the body's length.
        last: whether the server goes away after it.
    """

    status: int = 200
    body: bytes = b""
    last: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND: Final = Reply(status=404, body=b"not found")


class _Stream(Protocol):
    def read(self, size: int) -> bytes: ...

    def write(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A TLS key, its certificate, and OpenSSL's context with both."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    tls: SSL.Context

    @property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo, DER."""
        return spki_of(self.key)

    @property
    def der(self) -> bytes:
        """The certificate, DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def spki_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The SubjectPublicKeyInfo (DER) of its public half."""
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def identity(
    now: datetime,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    names: Iterable[str] = (),
    extensions: Extensions = (),
    protocols: Sequence[bytes] = (b"http/1.1",),
    until: datetime | None = None,
) -> Identity:
    """A self-signed certificate for a key, valid from a day before `now`.

    Args:
        now: the present instant.
        key: made if not given.
        names: DNS names.
        extensions: further extensions.
        protocols: what ALPN may agree on, the first that a client offers counts; none of them is no
            reason to refuse.
        until: the last instant of its validity; a day after `now` if not given.
    """
    key = new_key() if key is None else key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "troth simulator")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1) if until is None else until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    dns = [x509.DNSName(text) for text in names]
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName(dns), critical=False)
    for oid, value in extensions:
        made = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(made, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return Identity(key=key, certificate=certificate, tls=_context(key, certificate, protocols))


def _context(
    key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, protocols: Sequence[bytes]
) -> SSL.Context:
    tls = context()
    tls.use_privatekey(key)
    tls.use_certificate(certificate)

    def select(_: SSL.Connection, offered: Sequence[bytes]) -> Any:
        return next((one for one in offered if one in protocols), SSL.NO_OVERLAPPING_PROTOCOLS)

    tls.set_alpn_select_callback(select)
    return tls


class Loopback:
    """A server for as long as it is open; a thread for each connection.

    Args:
        answer: one request to one answer.
        identity: for TLS; or a callable that has one for a ClientHello, as it came from the network.
            None for plain http.
        opening: what happens after each handshake, before HTTP; returns whether HTTP follows.
        path: a unix socket to listen on, in place of a port.
    """

    def __init__(
        self,
        answer: Callable[[Request], Reply],
        *,
        identity: Identity | Callable[[bytes], Identity] | None = None,
        opening: Callable[[Session], bool] | None = None,
        path: Path | None = None,
    ) -> None:
        self._answer = answer
        self._identity = identity
        self._opening = opening
        self._path = path
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
        self._listener.settimeout(_POLL)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._main = threading.Thread(target=self._serve, daemon=True)
        self._main.start()

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
    def port(self) -> int:
        """Of 127.0.0.1; 0 on a unix socket."""
        return 0 if self._path is not None else int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """`https://localhost:port`, or `http://…` without TLS."""
        return f"{'http' if self._identity is None else 'https'}://localhost:{self.port}"

    def dial(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=_SECONDS)

    def close(self) -> None:
        """Stops listening, and waits for what is open."""
        self._stop.set()
        self._main.join(_SECONDS)
        self._listener.close()
        for thread in self._threads:
            thread.join(_SECONDS)
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._one, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _one(self, sock: socket.socket) -> None:
        # A client that goes away, or refuses what it was shown, is no failure of the server's.
        with sock, contextlib.suppress(OSError, TrothError, ValueError):
            sock.settimeout(_SECONDS)
            if self._identity is None:
                self._http(_Plain(sock, self._stop))
                return
            chosen = self._identity
            if not isinstance(chosen, Identity):
                chosen = chosen(_hello(sock))
            connection = SSL.Connection(chosen.tls, None)
            connection.set_accept_state()
            with Session(sock, connection, idle=_SECONDS) as session:
                session.handshake(seconds=_SECONDS, alpn=None)
                if self._opening is None or self._opening(session):
                    self._http(session)

    def _http(self, stream: _Stream) -> None:
        buffered = b""
        while not self._stop.is_set():
            while b"\r\n\r\n" not in buffered:
                data = stream.read(_HEAD)
                if not data or len(buffered) > _HEAD:
                    return
                buffered += data
            head, _, buffered = buffered.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            size = int(headers.get("content-length", "0"))
            while len(buffered) < size:
                data = stream.read(_HEAD)
                if not data:
                    return
                buffered += data
            body, buffered = buffered[:size], buffered[size:]
            reply = self._answer(_request(first, headers, body))
            stream.write(_encoded(reply))
            if reply.last:
                return


def _request(first: str, headers: Mapping[str, str], body: bytes) -> Request:
    method, target, _ = first.split(" ", 2)
    parts = urlsplit(target)
    return Request(
        method=method,
        path=parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        body=body,
        host=headers.get("host", ""),
    )


def _encoded(reply: Reply) -> bytes:
    headers = {"Content-Length": str(len(reply.body)), **reply.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} Answer\r\n{lines}\r\n".encode("latin-1") + reply.body


def _hello(sock: socket.socket) -> bytes:
    """The first record, left where it is: the handshake reads it again."""
    size = _RECORD_HEAD
    while True:
        data = sock.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)
        if len(data) < size or size > _RECORD_HEAD:
            return data
        size += int.from_bytes(data[3:5], "big")


class _Plain:
    def __init__(self, sock: socket.socket, stop: threading.Event) -> None:
        self._socket = sock
        self._stop = stop

    def read(self, size: int) -> bytes:
        self._socket.settimeout(_POLL)
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                return self._socket.recv(size)
        return b""

    def write(self, data: bytes) -> None:
        self._socket.settimeout(_SECONDS)
        self._socket.sendall(data)
