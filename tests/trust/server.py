"""A server on this machine that speaks as PCS, PCCS and KDS do, with bodies out of the vectors."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from troth.model.collateral import Item, Kind, Request
from troth.trust.collateral import load
from troth.trust.fetch import CERTIFICATES, KDS, PCS

TDX_18 = "tdx/collateral/tdx-00806f050000-eval18-20251202-platform.json"
TDX_17 = "tdx/collateral/tdx-00806f050000-eval17-20251031-platform.json"
CHAINS = {
    Kind.INTEL_TCB_INFO: "TCB-Info-Issuer-Chain",
    Kind.INTEL_QE_IDENTITY: "SGX-Enclave-Identity-Issuer-Chain",
    Kind.INTEL_PCK_CRL: "SGX-PCK-CRL-Issuer-Chain",
}
INFO = Request(
    url=f"{PCS}/tdx/certification/v4/tcb?fmspc=00806f050000",
    kind=Kind.INTEL_TCB_INFO,
    chain_header=CHAINS[Kind.INTEL_TCB_INFO],
)
IDENTITY = Request(
    url=f"{PCS}/tdx/certification/v4/qe/identity",
    kind=Kind.INTEL_QE_IDENTITY,
    chain_header=CHAINS[Kind.INTEL_QE_IDENTITY],
)
PCK_CRL = Request(
    url=f"{PCS}/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
    kind=Kind.INTEL_PCK_CRL,
    chain_header=CHAINS[Kind.INTEL_PCK_CRL],
)
ROOT_CRL = Request(url=f"{CERTIFICATES}/IntelSGXRootCA.der", kind=Kind.INTEL_ROOT_CRL)
VCEK = Request(
    url=f"{KDS}/vcek/v1/Milan/{'00' * 64}?blSPL=03&teeSPL=00&snpSPL=10&ucodeSPL=169",
    kind=Kind.AMD_ENDORSEMENT,
)
AMD_CHAIN = Request(url=f"{KDS}/vcek/v1/Milan/cert_chain", kind=Kind.AMD_CHAIN)
INTEL = (INFO, IDENTITY, PCK_CRL, ROOT_CRL)


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    short: int = 0  # bytes that are promised and do not come


@dataclass
class Site:
    """What is served: by path the answers, one after another, the last one for ever."""

    base: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False

    def put(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    def take(self, target: str) -> Answer:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        early = query.get("update") == ["early"]
        self.asked.append(target)
        if self.down:
            return Answer(status=503, headers={"Retry-After": "3600"})
        found = self.answers.get(parts.path + ("#early" if early else ""), [Answer(status=404)])
        return found.pop(0) if len(found) > 1 else found[0]

    def serve(self, items: tuple[Item, ...], *, early: bool = False) -> None:
        """Intel's items, at the paths of PCS and of PCCS."""
        for item in items:
            value = item.data if item.kind in CHAINS else b""
            headers = {CHAINS[item.kind]: quote(item.chain)} if item.kind in CHAINS else {}
            end = "#early" if early else ""
            match item.kind:
                case Kind.INTEL_TCB_INFO:
                    tee = str(json.loads(value)["tcbInfo"].get("id", "SGX")).lower()
                    path = f"/{tee}/certification/v4/tcb{end}"
                case Kind.INTEL_QE_IDENTITY:
                    name = json.loads(value)["enclaveIdentity"]["id"]
                    tee = "tdx" if name == "TD_QE" else "sgx"
                    path = f"/{tee}/certification/v4/qe/identity{end}"
                case Kind.INTEL_PCK_CRL:
                    path = "/sgx/certification/v4/pckcrl"
                case _:
                    path = "/IntelSGXRootCA.der"
                    self.put(
                        "/sgx/certification/v4/rootcacrl", Answer(body=item.data.hex().encode())
                    )
            self.put(path, Answer(body=item.data, headers=headers))

    def serve_amd(self, vectors: Path) -> None:
        certs = vectors / "snp" / "certs"
        vcek = (certs / "oak-milan-v3.vcek.der").read_bytes()
        self.put(urlsplit(VCEK.url).path, Answer(body=vcek))
        chain = (certs / "sev-milan.pem").read_bytes() + (certs / "ark-milan.pem").read_bytes()
        self.put("/vcek/v1/Milan/cert_chain", Answer(body=chain))


@contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[Site]:
    """The site, listening on a free port of 127.0.0.1; over TLS where there is a context for it."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = site.take(self.path)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) + answer.short))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    scheme = "http" if context is None else "https"
    site.base = f"{scheme}://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def intel(vectors: Path, name: str = TDX_18) -> tuple[Item, ...]:
    return load(vectors / name).items
