"""A Tinfoil enclave in Python: both versions of its document, EHBP, and a chat that repeats you.

Does not isolate anything; what signs its evidence is handed in, and is a development root's.
"""

import base64
import contextlib
import gzip
import hashlib
import http.server
import secrets
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import NameOID

from troth.channel import ehbp
from troth.channel.services import tinfoil, tinfoil_document
from troth.errors import Malformed
from troth.wire import json

HOST: Final = "localhost"
_SECONDS: Final = 10.0
_MAX_BODY: Final = 16 * 1024 * 1024
_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_REPORTS: Final = {
    "snp": (tinfoil.SNP_V2, tinfoil_document.SNP_REPORT),
    "tdx": (tinfoil.TDX_V2, tinfoil_document.TDX_QUOTE),
}

Attest = Callable[[bytes], bytes]
"""64 bytes of REPORT_DATA to a report or quote."""


class Enclave:
    """One start of an enclave: its keys, its certificate, and a server on a free port.

    Args:
        attest: makes the CPU's evidence.
        platform: `snp` or `tdx`.
        version: of the document that it gives: 3 to whoever gives a nonce, or 2 to everybody.
        devices: (nonce) to the items of `device_evidence`.
        collateral: entries of version 3's, or None for a document without.
        present: (nonce or None, the true document) to what is sent instead, for whoever lies.

    Attributes:
        spki: SubjectPublicKeyInfo of its TLS key.
        receiver: its end of EHBP.
        certificate: its TLS certificate, PEM.
        port: where it listens.
        asked: path of each request that came.
    """

    def __init__(
        self,
        attest: Attest,
        *,
        platform: str = "snp",
        version: int = 3,
        devices: Callable[[bytes], Sequence[Mapping[str, Any]]] | None = None,
        collateral: Sequence[Mapping[str, Any]] | None = None,
        present: Callable[[bytes | None, bytes], bytes] = lambda _, document: document,
    ) -> None:
        self._attest = attest
        self._kinds = _REPORTS[platform]
        self._version = version
        self._devices = devices
        self._collateral = collateral
        self._present = present
        key = ec.generate_private_key(ec.SECP256R1())
        self.spki: Final = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.receiver: Final = ehbp.Receiver(X25519PrivateKey.generate())
        self._v2 = self._made_once()
        self.certificate: Final = self._certified(key)
        self.asked: list[str] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.socket = _context(key, self.certificate).wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port: Final = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def document(self, nonce: bytes | None) -> bytes:
        """What it answers to this nonce, or to none."""
        true = self._v2 if nonce is None or self._version == 2 else self.v3(nonce)
        return self._present(nonce, true)

    def v3(self, nonce: bytes) -> bytes:
        """The true document of version 3."""
        crypto = json.canonical({"format": tinfoil_document.CRYPTO_MATERIAL, "items": self._keys()})
        devices: list[Any] = list(self._devices(nonce)) if self._devices else []
        device = json.canonical({"format": tinfoil_document.DEVICE_EVIDENCE, "items": devices})
        bound = tinfoil_document.report_data(nonce, crypto, device)
        document: dict[str, Any] = {
            "format": tinfoil_document.FORMAT,
            "challenge": {
                "nonce": nonce.hex(),
                "report_data": bound.hex(),
                "report_data_algorithm": tinfoil_document.ALGORITHM,
            },
            "cpu_evidence": {
                "format": self._kinds[1],
                "report_base64": _base64(self._attest(bound)),
                "endorsed": {
                    "crypto_material_hash": hashlib.sha256(crypto).hexdigest(),
                    "device_evidence_hash": hashlib.sha256(device).hexdigest(),
                },
            },
            "crypto_material": _base64(crypto),
            "device_evidence": _base64(device),
        }
        if self._collateral is not None:
            document["collateral"] = list(self._collateral)
        return json.canonical(document)

    def _keys(self) -> list[dict[str, str]]:
        return [
            {
                "id": "tls",
                "format": tinfoil_document.SPKI_SHA256,
                "data": hashlib.sha256(self.spki).hexdigest(),
            },
            {
                "id": "hpke",
                "format": tinfoil_document.X25519_HPKE,
                "data": self.receiver.key.hex(),
            },
        ]

    def _made_once(self) -> bytes:
        bound = hashlib.sha256(self.spki).digest() + self.receiver.key
        body = _base64(gzip.compress(self._attest(bound), mtime=0))
        return json.canonical({"format": self._kinds[0], "body": body})

    def _certified(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        document = json.parse(self._v2, field="document")
        said = tinfoil.document_hash(document["format"], document["body"]).encode("ascii")
        names = [
            HOST,
            *tinfoil.names_of("hpke", self.receiver.key, HOST),
            *tinfoil.names_of("hatt", said, HOST),
        ]
        # Each its own name: a client that trusts several of these looks them up by it.
        common = f"{HOST} {secrets.token_hex(8)}"
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        alternatives = x509.SubjectAlternativeName(
            [*map(x509.DNSName, names), x509.IPAddress(IPv4Address("127.0.0.1"))]
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_FROM)
            .not_valid_after(_UNTIL)
            .add_extension(alternatives, critical=False)
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )


def said(request: bytes, *, when: int) -> dict[str, Any]:
    """A chat's completion, in OpenAI's form: it repeats the last message.

    Raises:
        Malformed: that is no request for one.
    """
    value = json.parse(request, field="request")
    messages = value.get("messages") if isinstance(value, dict) else None
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or not isinstance(last.get("content"), str):
        raise Malformed("has no last message of text", field="request")
    words = f"you said: {last['content']}"
    return {
        "id": "chatcmpl-" + hashlib.sha256(request).hexdigest()[:24],
        "object": "chat.completion",
        "created": when,
        "model": str(value.get("model", "echo")),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": words},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def streamed(whole: Mapping[str, Any]) -> Iterator[bytes]:
    """The same as server-sent events, a word in each."""
    head = {key: whole[key] for key in ("id", "created", "model")}

    def event(delta: dict[str, str], reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        value = head | {"object": "chat.completion.chunk", "choices": [choice]}
        return b"data: " + json.canonical(value) + b"\n\n"

    words = whole["choices"][0]["message"]["content"].split(" ")
    yield event({"role": "assistant", "content": words[0]}, None)
    for word in words[1:]:
        yield event({"content": f" {word}"}, None)
    yield event({}, "stop")
    yield b"data: [DONE]\n\n"


def _handler(enclave: Enclave) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(_Handler):
        at = enclave

    return Handler


class _Handler(http.server.BaseHTTPRequestHandler):
    at: Enclave
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # whoever asked has gone, or was no TLS
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: a test's output is its own."""

    def do_GET(self) -> None:
        self.at.asked.append(self.path)
        parts = urlsplit(self.path)
        if parts.path == tinfoil.PATH:
            given = parse_qs(parts.query).get("nonce")
            nonce = None if given is None else bytes.fromhex(given[0])
            self._answer(200, "application/json", self.at.document(nonce))
        elif parts.path == ehbp.KEYS_PATH:
            self._answer(200, ehbp.KEYS_TYPE, ehbp.write_keys(self.at.receiver.key))
        else:
            self._answer(404, "text/plain", b"not found")

    def do_POST(self) -> None:
        self.at.asked.append(self.path)
        try:
            sealed = self.at.receiver.request(self.headers.items(), self._pieces())
            body = b"".join(sealed.pieces if sealed else self._pieces())
        except ehbp.KeyMismatch:
            self.close_connection = True
            self._answer(422, ehbp.PROBLEM_TYPE, ehbp.write_problem())
            return
        except Malformed:
            self.close_connection = True
            self._answer(400, "text/plain", b"bad request")
            return
        status, kind, pieces = self._chat(body)
        self._stream(status, kind, pieces, sealed)

    def _chat(self, body: bytes) -> tuple[int, str, Iterable[bytes]]:
        if urlsplit(self.path).path != "/v1/chat/completions":
            return 404, "application/json", [b'{"error":{"message":"no such thing"}}']
        try:
            whole = said(body, when=int(time.time()))
        except Malformed as error:
            return 400, "application/json", [json.canonical({"error": {"message": str(error)}})]
        if json.parse(body, field="request").get("stream"):
            return 200, "text/event-stream", streamed(whole)
        return 200, "application/json", [json.canonical(whole)]

    def _pieces(self) -> Iterator[bytes]:
        """The body as it comes, in chunks or by its length."""
        left = _MAX_BODY
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield self.rfile.read(min(int(self.headers.get("Content-Length", "0")), left))
            return
        while size := int(self.rfile.readline(64).partition(b";")[0], 16):
            left -= size
            if left < 0:
                raise Malformed("is too long", field="request")
            yield self.rfile.read(size)
            self.rfile.readline(4)
        self.rfile.readline(4)

    def _stream(
        self, status: int, kind: str, pieces: Iterable[bytes], sealed: ehbp.Received | None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in sealed.headers.items() if sealed else ():
            self.send_header(name, value)
        self.end_headers()
        for piece in pieces:
            data = sealed.seal(piece) if sealed else piece
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _context(key: ec.EllipticCurvePrivateKey, certificate: bytes) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # The library takes files only; the key is a development key of this one process.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "both.pem")
        path.touch(mode=0o600)
        path.write_bytes(pem + certificate)
        made.load_cert_chain(path)
    return made


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
