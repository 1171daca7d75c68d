"""A server on this machine that speaks as NVIDIA's RIM service and OCSP responder do, for simulated devices."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

from cryptography.x509 import ocsp

from troth.platforms.nvidia import collateral
from troth.platforms.nvidia.format import parse
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.simulate import Device, product, rim
from troth.platforms.nvidia.simulate_pki import Authority, answer


@dataclass
class Site:
    """What is served, and how it misbehaves.

    Attributes:
        rims: names to documents.
        links: serial numbers to certificates and their issuers.
        echo: whether nonces are echoed.
        at: the instant of answers.
        asked: what was asked, in order.
    """

    at: datetime
    rims: dict[str, bytes] = field(default_factory=dict)
    links: dict[int, tuple[Authority, Authority]] = field(default_factory=dict)
    status: Status = Status.GOOD
    echo: bool = True
    other: bool = False
    base: str = ""
    asked: list[str] = field(default_factory=list)

    def serve(self, devices: Iterable[Device]) -> None:
        for device in devices:
            names = collateral.rim_ids(parse(device.evidence(bytes(32))))
            for name, (version, golden) in zip(names, device.golden(), strict=True):
                self.rims[name] = rim(device.pki, product(device), version, golden)
            signers = (*device.pki.rim_signers[product(device)], device.pki.rim_root)
            for chain in (device.chain, signers):
                self.links |= {m.certificate.serial_number: (m, i) for m, i in pairwise(chain)}

    def get(self, path: str) -> bytes | None:
        self.asked.append(path)
        data = self.rims.get(path.removeprefix("/v1/rim/"))
        if data is None:
            return None
        body = {
            "id": path.rpartition("/")[2],
            "rim": base64.b64encode(data).decode(),
            "sha256": hashlib.sha256(data).hexdigest(),
            "rim_format": "TCG",
        }
        return json.dumps(body).encode()

    def post(self, body: bytes) -> bytes | None:
        request = ocsp.load_der_ocsp_request(body)
        self.asked.append(f"ocsp {request.serial_number:x}")
        (nonce,) = (e.value.nonce for e in request.extensions)  # type: ignore[attr-defined]
        pair = self.links.get(request.serial_number)
        if self.other:
            pair = next(iter(p for s, p in self.links.items() if s != request.serial_number))
        if pair is None:
            return None
        return answer(
            pair[0].certificate,
            pair[1],
            self.at,
            status=self.status,
            nonce=nonce if self.echo else b"",
        )


@contextmanager
def running(at: datetime) -> Iterator[Site]:
    """The site, listening on a free port of 127.0.0.1."""
    site = Site(at=at)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(site.get(self.path))

        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/ocsp-request"
            self._send(site.post(self.rfile.read(int(self.headers["Content-Length"]))))

        def _send(self, body: bytes | None) -> None:
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    site.base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
