"""A stage for channels, in this process: enclaves on a simulated NSM, and a clock that tests can move."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.channel import cells

from troth.channel import client
from troth.channel.server import Credentials, accept, make_credentials
from troth.channel.session import Session
from troth.errors import TrothError
from troth.platforms.nitro.collect import Nsm
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, new_instance
from troth.policy import Policy
from troth.verifier.binding import Tag, bind

IMAGE = {0: b"\x10" * 48, 1: b"\x11" * 48, 2: b"\x12" * 48}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(autouse=True)
def _cell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that stands for a cell of the matrix must show what the cell says."""
    cell = cells.BY_TEST.get(getattr(request.node, "originalname", ""))
    if cell is None:
        yield
        return
    with cells.watched(cell, monkeypatch):
        yield


class Clock:
    """Real time, moved as far as the test says."""

    def __init__(self) -> None:
        self.moved = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.moved


class InProcess:
    """The simulated NSM as a transport, without a socket between."""

    def __init__(self, nsm: SimulatedNsm) -> None:
        self._nsm = nsm

    def exchange(self, request: bytes) -> bytes:
        return self._nsm.request(request)

    def close(self) -> None:
        """Nothing is held."""


class Listening:
    """A port on 127.0.0.1 with a thread for each connection; what a handler raises is kept."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._stop = threading.Event()
        self.port = self._listener.getsockname()[1]
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._main = threading.Thread(target=self._serve, daemon=True)
        self._main.start()

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
        with sock:
            sock.settimeout(5)
            try:
                self._handle(sock)
            except (OSError, TrothError) as error:
                self.errors.append(error)

    def settle(self) -> None:
        """Waits until every connection so far has been dealt with."""
        for thread in self._threads:
            thread.join(5)

    def close(self) -> None:
        self._stop.set()
        self._main.join(5)
        self._listener.close()
        self.settle()


class Enclave:
    """An attested server with an application that records all it gets, and answers each request."""

    def __init__(self, nsm: Nsm) -> None:
        self.nsm = nsm
        self.credentials: Credentials = make_credentials()
        self.recorded: list[tuple[bytes, bytes, bytes, bytes]] = []
        self.received = b""
        self.app: Callable[[Session], None] = self._http
        self.net = Listening(self._serve)
        self.url = f"https://127.0.0.1:{self.net.port}"

    def attest(self, exporter: bytes, spki: bytes, nonce: bytes) -> bytes:
        binding = bind(Tag.CHANNEL, exporter, spki, nonce)
        evidence = self.nsm.attest(user_data=binding, nonce=nonce, public_key=spki)
        self.recorded.append((exporter, spki, nonce, evidence))
        return evidence

    def _serve(self, sock: socket.socket) -> None:
        with accept(sock, self.credentials, self.attest, platform="nitro", seconds=5) as session:
            self.app(session)

    def _http(self, session: Session) -> None:
        buffered = b""
        while data := session.read(65536):
            self.received += data
            buffered += data
            while b"\r\n\r\n" in buffered:
                head, _, rest = buffered.partition(b"\r\n\r\n")
                size = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        size = int(line.partition(b":")[2])
                if len(rest) < size:
                    break
                buffered = rest[size:]
                session.write(OK)
                if b"connection: close" in head.lower():
                    return

    def close(self) -> None:
        self.net.close()


class Stage:
    """Makes enclaves and rogues, and the policy that expects one image of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pki = DevelopmentPki.create(self.clock())
        self.trust = (self.pki.root(),)
        self.policy = Policy.for_image(
            {"nitro": {f"pcr{i}": value.hex() for i, value in IMAGE.items()}}
        )
        self._open: list[Enclave | Listening] = []

    def opened_nsm(self, image: dict[int, bytes] = IMAGE, pki: DevelopmentPki | None = None) -> Nsm:
        return Nsm(InProcess(SimulatedNsm(pki or self.pki, image, new_instance(), self.clock)))

    def enclave(self, image: dict[int, bytes] = IMAGE) -> Enclave:
        made = Enclave(self.opened_nsm(image))
        self._open.append(made)
        return made

    def rogue(self, handle: Callable[[socket.socket], None]) -> Listening:
        made = Listening(handle)
        self._open.append(made)
        return made

    def connect(self, port: int, **changes: object) -> client.AttestedStream:
        def dial() -> socket.socket:
            return socket.create_connection(("127.0.0.1", port), timeout=5)

        arguments = {
            "policy": self.policy,
            "trust": self.trust,
            "at": self.clock,
            "seconds": 5.0,
        } | changes
        return client.connect(dial, **arguments)  # type: ignore[arg-type]

    def close(self) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()
