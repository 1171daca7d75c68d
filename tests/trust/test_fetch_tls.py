"""Over TLS: a PCCS with an authority of its own, certificates that are not trusted, and proxies."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.trust.server import INFO, ROOT_CRL, Site, intel, running

from troth.errors import Unavailable
from troth.trust.fetch import Patience, Servers, fetch

QUICK = Patience(attempts=2, timeout=timedelta(seconds=5))


@pytest.fixture(scope="module")
def pccs_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An authority's certificate, and the chain and key of a PCCS on this machine."""
    folder, now = tmp_path_factory.mktemp("pccs"), datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("own", "pccs")]
    made = []
    for which in (0, 1):
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[which])
            .issuer_name(names[0])
            .public_key(keys[which].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=which == 0, path_length=None), critical=True)
        )
        if which:
            name = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(name, critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key = keys[1].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "own.pem").write_bytes(made[0])
    (folder / "pccs.pem").write_bytes(made[1] + key)
    return folder / "own.pem", folder / "pccs.pem"


@contextmanager
def _secured(pccs: Path) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pccs)
    with running(context) as site:
        yield site


def test_a_pccs_with_its_own_authority(vectors: Path, pccs_files: tuple[Path, Path]) -> None:
    authority, pccs = pccs_files
    with _secured(pccs) as site:
        site.serve(intel(vectors))
        servers = Servers(pccs=site.base, authority=authority)
        for request in (INFO, ROOT_CRL):
            assert fetch(request, servers=servers, patience=QUICK).kind is request.kind


def test_a_certificate_that_is_not_trusted(vectors: Path, pccs_files: tuple[Path, Path]) -> None:
    _, pccs = pccs_files
    with _secured(pccs) as site:
        site.serve(intel(vectors))
        for servers in (Servers(pccs=site.base), Servers(pcs=site.base)):
            with pytest.raises(Unavailable, match="certificate is not trusted"):
                fetch(INFO, servers=servers, patience=QUICK, sleep=lambda _: None)
        assert site.asked == []
        plain = site.base.replace("https", "http")
        with pytest.raises(Unavailable):
            fetch(INFO, servers=Servers(pcs=plain), patience=QUICK, sleep=lambda _: None)


def test_a_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(Unavailable, match="cannot reach"):
            fetch(INFO, servers=Servers(pcs="https://pcs.example"), patience=Patience(attempts=1))
        thread.join()
    assert heard[0].startswith(b"CONNECT pcs.example:443 HTTP/1.")
