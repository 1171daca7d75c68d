"""A web server on loopback with a TLS key of its own, for simulated services."""

import contextlib
import ipaddress
import secrets
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_SECONDS: Final = 30.0
_LINE: Final = 64


class Cut(Exception):  # noqa: N818 - what it does, not what went wrong
    """Raised by a body's iterator: the connection ends there, in the middle of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What came in.

    Attributes:
        method, path: as asked, without the query.
        query: names and values.
        headers: names in lower case.
        body: all of it.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes out: a body with its length, or pieces as chunks."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: Iterable[bytes] | None = None


class Server:
    """Answers on 127.0.0.1 and a free port until it is closed.

    Args:
        answer: question to reply; called from several threads.
        key: of TLS; made if not given.
        names: DNS names that its certificate has beside localhost.

    Attributes:
        spki: SubjectPublicKeyInfo (DER) of the TLS key.
        certificate: the leaf (DER).
        url: origin.
    """

    def __init__(
        self,
        answer: Callable[[Question], Reply],
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        names: Iterable[str] = (),
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
        self.spki: Final = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        leaf = _certificate(key, names)
        self.certificate: Final = leaf.public_bytes(serialization.Encoding.DER)
        self._server = _Listening(_context(key, leaf), answer)
        self.url: Final = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops, and ends what is still open."""
        self._server.shutdown()
        self._thread.join()
        self._server.end_all()
        self._server.server_close()


class _Listening(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, context: ssl.SSLContext, answer: Callable[[Question], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = context
        self.answer = answer
        self.open: set[ssl.SSLSocket] = set()

    def get_request(self) -> tuple[Any, Any]:
        sock, address = super().get_request()
        sock.settimeout(_SECONDS)
        # The handshake is the thread's: a client that is slow with it must not stop the others.
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.open.add(wrapped)
        return wrapped, address

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        with contextlib.suppress(OSError, ValueError):
            request.settimeout(1)
            request.unwrap()
        super().shutdown_request(request)

    def end_all(self) -> None:
        for sock in tuple(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listening

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing is logged."""

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", "0")))
            return
        while size := int(self.rfile.readline(_LINE).partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline(_LINE)
        self.rfile.readline(_LINE)

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        question = Question(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=b"".join(self._body()),
        )
        reply = self.server.answer(question)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.pieces is None:
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in reply.pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
        except Cut:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")


def _context(key: ec.EllipticCurvePrivateKey, leaf: x509.Certificate) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.TemporaryDirectory() as folder:  # the library takes files alone
        path = Path(folder) / "key.pem"
        path.touch(mode=0o600)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
        )
        made.load_cert_chain(path)
    return made


def _certificate(key: ec.EllipticCurvePrivateKey, names: Iterable[str]) -> x509.Certificate:
    # Each its own: a client that trusts several of these looks them up by their name.
    common = f"troth development {secrets.token_hex(8)}"
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    )
    here = ipaddress.IPv4Address("127.0.0.1")
    every = [*map(x509.DNSName, ("localhost", *names)), x509.IPAddress(here)]
    alternatives = x509.SubjectAlternativeName(every)
    return builder.add_extension(alternatives, critical=False).sign(key, hashes.SHA256())
