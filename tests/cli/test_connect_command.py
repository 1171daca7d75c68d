"""`troth connect` as a process would run it: data on stdout, talk on stderr, the right exit code."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from troth.channel.server import accept, make_credentials
from troth.cli.main import run
from troth.errors import TrothError
from troth.platforms.nitro.collect import Nsm
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, new_instance
from troth.verifier.binding import Tag, bind

REGISTERS = {index: bytes([0x10 + index]) * 48 for index in range(3)}
EXPECTED = [f"--measurement=pcr{i}={value.hex()}" for i, value in REGISTERS.items()]


class Direct:
    def __init__(self, nsm: SimulatedNsm) -> None:
        self.exchange = nsm.request

    def close(self) -> None:
        """Nothing is held."""


def whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = next((x for x in head.split(b"\r\n") if x.startswith(b"Content-Length: ")), b": 0")
    return bool(end) and len(body) == int(length.partition(b": ")[2])


class Enclave:
    """An attested server whose app answers every request with the request itself."""

    def __init__(self, folder: Path) -> None:
        pki = DevelopmentPki.create(datetime.now(UTC))
        self.root = folder / "root.pem"
        self.root.write_text(pki.root_pem())
        self.nsm = Nsm(
            Direct(SimulatedNsm(pki, REGISTERS, new_instance(), lambda: datetime.now(UTC)))
        )
        self.credentials = make_credentials()
        self.status = b"200 OK"
        self.received = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _attest(self, exporter: bytes, spki: bytes, nonce: bytes) -> bytes:
        binding = bind(Tag.CHANNEL, exporter, spki, nonce)
        return self.nsm.attest(user_data=binding, nonce=nonce, public_key=spki)

    def _one(self, sock: socket.socket) -> None:
        try:
            with accept(sock, self.credentials, self._attest, platform="nitro") as session:
                while not whole(self.received):
                    part = session.read(65536)
                    if not part:
                        return
                    self.received += part
                session.write(
                    b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                    % (self.status, len(self.received), self.received)
                )
        except (TrothError, OSError):
            return


@pytest.fixture
def enclave(tmp_path: Path) -> Iterator[Enclave]:
    made = Enclave(tmp_path)
    yield made
    made.listener.close()


@pytest.fixture
def expected(enclave: Enclave) -> list[str]:
    return [*EXPECTED, f"--trust={enclave.root}"]


def test_one_request(enclave: Enclave, expected: list[str], capfd) -> None:
    assert run(["connect", f"{enclave.url}/path?q=1", *expected]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("GET /path?q=1 HTTP/1.1\r\n")
    assert "accepted" in err
    assert "development" in err
    assert len(err.splitlines()) == 1


def test_data_method_and_headers(enclave: Enclave, expected: list[str], tmp_path, capfd) -> None:
    (tmp_path / "bid").write_bytes(b"4711")
    arguments = [f"--data=@{tmp_path / 'bid'}", "--header=X-Bidder: me", "--request=PUT"]
    assert run(["connect", f"{enclave.url}/bids", *expected, *arguments]) == 0
    out, _ = capfd.readouterr()
    assert out.startswith("PUT /bids HTTP/1.1\r\n")
    assert "X-Bidder: me\r\n" in out
    assert out.endswith("4711")


@pytest.mark.parametrize(
    ("change", "code", "exit_code"),
    [
        (
            lambda e: [*EXPECTED[1:], "--measurement=pcr0=" + "99" * 48, f"--trust={e.root}"],
            "M201",
            1,
        ),
        (lambda _: EXPECTED, "G101", 1),
        (lambda e: [f"--trust={e.root}"], "M101", 4),
        (lambda e: [*EXPECTED[1:], f"--trust={e.root}"], "M203", 4),
        (lambda e: [*EXPECTED, f"--trust={e.root}", "--policy=production-2026-11"], "P102", 1),
    ],
)
def test_a_verdict_that_is_no_acceptance_sends_nothing(
    enclave: Enclave, change, code: str, exit_code: int, capfd
) -> None:
    assert run(["connect", enclave.url, *change(enclave), "--data=secret"]) == exit_code
    out, err = capfd.readouterr()
    assert out == ""
    assert code in err
    assert enclave.received == b""


def test_json_on_success_and_above_all_on_failure(
    enclave: Enclave, expected: list[str], capfd
) -> None:
    assert run(["connect", enclave.url, *EXPECTED, "--json"]) == 1
    document = json.loads(capfd.readouterr().out)
    assert document["schema"] == "troth/connect/1"
    assert document["report"]["verdict"] == "rejected"
    assert document["response"] is None
    assert run(["connect", enclave.url, *expected, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["report"]["verdict"] == "accepted"
    assert document["response"]["status"] == 200
    assert bytes.fromhex(document["response"]["body"]).startswith(b"GET / HTTP/1.1")
    assert run(["connect", "https://127.0.0.1:1", *expected, "--json"]) == 5
    document = json.loads(capfd.readouterr().out)
    assert document["report"]["error"]["kind"] == "unavailable"


def test_an_app_that_refuses_is_no_success(enclave: Enclave, expected: list[str], capfd) -> None:
    enclave.status = b"404 Not Found"
    assert run(["connect", enclave.url, *expected]) == 5
    out, err = capfd.readouterr()
    assert out.startswith("GET /")
    assert "404 Not Found" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["http://127.0.0.1:1"],
        ["https://127.0.0.1:1", "--at-most-age=soon"],
        ["https://127.0.0.1:1", "--proxy=unix:x", "--data=y"],
        ["https://127.0.0.1:1", "--header=nothing"],
        ["https://127.0.0.1:1", "--policy=no-such-profile"],
    ],
)
def test_misuse(arguments: list[str], capfd) -> None:
    assert run(["connect", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")


@pytest.mark.parametrize("place", ["0.0.0.0:0", "127.0.0.1:x", "127.0.0.1:70000", "unix:", "x"])
def test_no_place_for_a_proxy(enclave: Enclave, expected: list[str], place: str, capfd) -> None:
    assert run(["connect", enclave.url, *expected, f"--proxy={place}"]) == 2
    assert "127.0.0.1:0" in capfd.readouterr().err


def test_a_bundle_is_judged_again_with_the_callers_own_judge(
    enclave: Enclave, expected: list[str], tmp_path: Path, capfd
) -> None:
    bundle = tmp_path / "session.troth"
    assert run(["connect", enclave.url, *expected, f"--save-bundle={bundle}"]) == 0
    assert run(["verify", str(bundle), *expected]) == 0
    assert run(["verify", str(bundle), *EXPECTED]) == 1
    assert run(["verify", str(bundle)]) in (1, 4)
    assert run(["verify", str(bundle), "--replay"]) == 4
    capfd.readouterr()


@pytest.mark.parametrize("place", ["127.0.0.1:0", "unix"])
def test_the_proxy_as_a_process(
    enclave: Enclave, expected: list[str], tmp_path: Path, place: str
) -> None:
    if place == "unix":
        place = f"unix:{tmp_path / 'door'}"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "troth.cli.main",
            "connect",
            enclave.url,
            *expected,
            "--proxy",
            place,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if address.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(address.removeprefix("unix:"))
            sock.sendall(b"GET /unix HTTP/1.1\r\n\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
            sock.close()
        else:
            port = int(address.removeprefix("http://127.0.0.1:"))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/tcp")
            assert connection.getresponse().read().startswith(b"GET /tcp HTTP/1.1")
            connection.close()
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130, err
    assert "accepted" in err
    assert not (tmp_path / "door").exists()


def test_a_proxy_to_a_wrong_image_does_not_start(enclave: Enclave, tmp_path: Path, capfd) -> None:
    door = tmp_path / "door"
    assert run(["connect", enclave.url, *EXPECTED, f"--proxy=unix:{door}"]) == 1
    assert capfd.readouterr().out == ""
    assert not door.exists()
