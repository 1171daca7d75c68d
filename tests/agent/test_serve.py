"""The agent's socket against rude callers; no enclave is needed for that, only a simulated module."""

import errno
import http.client
import json
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.agent import listener, serve
from troth.agent.api import MAX_BODY, MAX_FREE, Api
from troth.agent.attest import Attester
from troth.agent.config import AppConfig
from troth.agent.identity import Identity
from troth.agent.serve import MOST_CONNECTIONS
from troth.platforms.nitro.collect import Nsm
from troth.platforms.nitro.simulate import SimulatedNsm, new_instance
from troth.platforms.nitro.simulate_pki import DevelopmentPki

CONFIG = AppConfig(
    name="app",
    root="/",
    directory="/",
    entry=("/bin/true",),
    environment={},
    listen=(8080,),
    measured={},
    free=frozenset({"given", "link", "pipe", "folder", "large"}),
    sealed=frozenset(),
    stop_signal=15,
    scratch=(),
    memory=256,
    raw_nsm=False,
)


class InProcess:
    def __init__(self, module: SimulatedNsm) -> None:
        self.exchange = module.request

    def close(self) -> None:
        """Nothing is held."""


class Agent:
    def __init__(self, folder: Path) -> None:
        self.free = folder / "free"
        self.free.mkdir()
        self.path = folder / "agent.sock"
        now = datetime.now(UTC)
        module = SimulatedNsm(DevelopmentPki.create(now), {}, new_instance(), lambda: now)
        identity = Identity()
        attester = Attester(Nsm(InProcess(module)), identity.spki)
        self.api = Api(config=CONFIG, attester=attester, identity=identity, free=self.free)
        serve.serve(self.path, self.api)

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(str(self.path))
        return sock

    def raw(self, request: bytes) -> tuple[int, dict[str, str]]:
        """The answer to these bytes, after which nothing more is sent."""
        with self.connect() as sock:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(sock)
            response.begin()
            return response.status, json.loads(response.read())

    def post(self, path: str, body: bytes) -> tuple[int, dict[str, str]]:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        return self.raw(head.encode() + body)

    def get(self, path: str) -> tuple[int, dict[str, str]]:
        return self.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    return Agent(tmp_path_factory.mktemp("agent"))


def refused(answer: tuple[int, dict[str, str]]) -> int:
    assert set(answer[1]) == {"error", "fix"}
    assert answer[1]["error"]
    return answer[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b"\xff",
        b'{"size": 1} x',
        b'{"size": 1, "size": 2}',
        b'{"size": NaN}',
        b'{"size": 1.0}',
        b'{"size": "1"}',
        b'{"size": -1}',
        b'{"size": 1e400}',
        b"[" * 100_000,
        b'{"size": ' + b"9" * 5000 + b"}",
    ],
)
def test_bodies_that_are_no_request(agent, body) -> None:
    assert refused(agent.post("/v1/random", body)) == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEADLESS", "get"])
def test_other_methods_get_an_answer_in_our_form(agent, method) -> None:
    assert refused(agent.raw(f"{method} /v1/info HTTP/1.1\r\nHost: a\r\n\r\n".encode())) == 501


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v1/info HTTP/9.9\r\n\r\n", 505),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /v1/info HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /v1/info HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"GET /v1/info\r\n\r\n", 400),
        (b"GET /v1/info HTTP/1.1 x\r\n\r\n", 400),
        (b"GET /v1/info HTTP/1.1\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /v1/info HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET /v1/info HTTP/1.1\r\nA : b\r\n\r\n", 400),
        (b"GET /v1/info HTTP/1.1\r\nA\r\n\r\n", 400),
        (b"GET /v1/info HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/random HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 411),
        (b"POST /v1/random HTTP/1.1\r\n\r\n", 411),
        (b"POST /v1/random HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        (b"POST /v1/random HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 411),
        (b"POST /v1/random HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /v1/random HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (b"POST /v1/random HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        # Many long headers, each of which would do: 64 callers of these were 400 MB of the agent's memory.
        (b"GET /v1/info HTTP/1.1\r\n" + (b"A: " + b"b" * 60_000 + b"\r\n") * 3 + b"\r\n", 431),
        # A head that breaks off is not answered as if it were whole.
        (b"GET /v1/info HTTP/1.1", 400),
        (b"GET /v1/info HTTP/1.1\r\nA: b\r\n", 400),
        (b"GET /v1/info HTTP/1.1\r\nA: b", 400),
    ],
)
def test_requests_that_are_no_http_or_too_large(agent, request_bytes, status) -> None:
    assert refused(agent.raw(request_bytes)) == status


def test_a_body_that_ends_early_gets_no_answer_and_harms_nobody(agent) -> None:
    with agent.connect() as sock:
        sock.sendall(b"POST /v1/random HTTP/1.1\r\nContent-Length: 10\r\n\r\n{}")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    assert agent.get("/v1/info")[0] == 200


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_any_bytes_leave_it_answering(agent, junk) -> None:
    with agent.connect() as sock:
        sock.sendall(junk)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass
    assert agent.get("/v1/identity")[0] == 200


def test_a_connection_serves_several_requests(agent) -> None:
    with agent.connect() as sock:
        for _ in range(3):
            sock.sendall(b"GET /v1/info HTTP/1.1\r\nHost: a\r\n\r\n")
            response = http.client.HTTPResponse(sock)
            response.begin()
            assert json.loads(response.read())["name"] == "app"


def test_it_lasts_as_long_as_the_caller_says(agent) -> None:
    for version, said, lasts in (
        ("1.1", "", True),
        ("1.1", "Connection: Close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: keep-alive\r\n", True),
    ):
        with agent.connect() as sock:
            sock.sendall(f"GET /v1/info HTTP/{version}\r\n{said}\r\n".encode())
            response = http.client.HTTPResponse(sock)
            response.begin()
            assert response.getheader("Connection") == (None if lasts else "close")
            assert response.getheader("Date", "").endswith(" GMT")
            response.read()
            if not lasts:
                assert sock.recv(1) == b""


def test_who_waits_for_the_word_to_send_a_body_gets_it(agent) -> None:
    with agent.connect() as sock:
        head = b"POST /v1/random HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"
        sock.sendall(head)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b'{"size": 1}')
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert response.status == 200


def test_many_ask_at_once_and_each_gets_its_own_answer(agent) -> None:
    def attest(number: int) -> bool:
        nonce = number.to_bytes(32, "big")
        body = json.dumps({"nonce": nonce.hex(), "app_data": ""}).encode()
        status, answer = agent.post("/v1/attest", body)
        return status == 200 and nonce in bytes.fromhex(answer["evidence"])

    with ThreadPoolExecutor(32) as many:
        assert all(many.map(attest, range(200)))


def test_idle_connections_are_bounded_and_cost_others_only_time(agent) -> None:
    before = threading.active_count()
    idle = [agent.connect() for _ in range(MOST_CONNECTIONS + 20)]
    assert threading.active_count() - before <= MOST_CONNECTIONS
    for sock in idle:
        sock.close()
    assert agent.get("/v1/info")[0] == 200


class Failing:
    """A listener that cannot take a connection at first, as where no descriptor is left."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self._ready = threading.Semaphore(0)
        self.made: list[socket.socket] = []

    def fileno(self) -> int:
        return 3

    def give(self, sock: socket.socket) -> None:
        self.made.append(sock)
        self._ready.release()

    def accept(self) -> tuple[socket.socket, None]:
        if self._failures:
            self._failures -= 1
            raise OSError(errno.EMFILE, "too many open files")
        self._ready.acquire()
        return self.made.pop(), None


def test_a_connection_that_cannot_be_taken_is_not_the_end(agent, monkeypatch) -> None:
    monkeypatch.setattr(serve, "PAUSE", 0)
    monkeypatch.setattr(listener, "PAUSE", 0)
    failing = Failing(MOST_CONNECTIONS + 1)
    threading.Thread(target=serve._accept, args=(failing, agent.api), daemon=True).start()
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    failing.give(theirs)
    ours.sendall(b"GET /v1/info HTTP/1.0\r\n\r\n")
    assert ours.recv(1 << 16).startswith(b"HTTP/1.1 200 ")

    failing, taken = Failing(3), threading.Event()

    def door(sock: socket.socket) -> listener.Plain:
        taken.set()
        return listener.Plain(sock)

    listener.Listener(1, failing, door).start()
    failing.give(socket.socketpair()[0])
    assert taken.wait(10)


def test_free_data_is_a_plain_file_of_bounded_size(agent) -> None:
    (agent.free / "given").write_bytes(b"data")
    (agent.free / "link").symlink_to("/proc/self/environ")
    os.mkfifo(agent.free / "pipe")
    (agent.free / "folder").mkdir()
    (agent.free / "large").write_bytes(bytes(MAX_FREE + 1))
    assert agent.get("/v1/free/given") == (200, {"data": b"data".hex()})
    for name in ("link", "pipe", "folder"):
        assert refused(agent.get(f"/v1/free/{name}")) == 404
    assert refused(agent.get("/v1/free/large")) == 503
    for name in ("", ".", "..", "../free/given", "given/", "%2e%2e", "other"):
        assert refused(agent.get(f"/v1/free/{name}")) == 404
