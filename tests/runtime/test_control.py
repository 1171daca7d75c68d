"""The host's end of the control channel, before agents that keep the rules and such that do not."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from troth.errors import Misuse
from troth.runtime.control import Control, answer_heartbeats
from troth.wire import control as wire


def until(condition, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "v_9001"


@pytest.fixture
def listener(path: Path) -> Iterator[socket.socket]:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    yield sock
    sock.close()


@contextlib.contextmanager
def agent(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        yield sock


@pytest.fixture
def host(listener: socket.socket) -> Iterator[Control]:
    made = Control(listener, {"hint": b"\x01\xff"})
    made.start()
    yield made
    made.close()


def test_a_whole_life(host: Control, path: Path) -> None:
    with agent(path) as sock:
        assert wire.take(sock.recv) == ("free", {"hint": "01ff"})
        assert not host.ready
        sock.sendall(wire.pack({"ready": True}))
        until(lambda: host.ready)
        host.stop()
        assert wire.take(sock.recv) == ("stop", True)
        sock.sendall(wire.pack({"ended": 143}))
        assert wire.take(sock.recv) == ("seen", True)
        assert host.code == 143
    assert host.met
    assert host.trouble == ""


def test_an_agent_that_comes_over_vsock(listener: socket.socket, path: Path) -> None:
    # Python takes other options for sockets of that family, and goes by what it is told of it.
    told = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM, fileno=os.dup(listener.fileno()))
    made = Control(told, {})
    made.start()
    with agent(path) as sock:
        assert wire.take(sock.recv) == ("free", {})
        sock.sendall(wire.pack({"ready": True}))
        until(lambda: made.ready)
        made.stop()
        assert wire.take(sock.recv) == ("stop", True)
    made.close()


@pytest.mark.parametrize(
    "data",
    [
        wire.pack({"ready": 1}),
        wire.pack({"ended": True}),
        wire.pack({"ended": -1}),
        wire.pack({"ended": 256}),
        wire.pack({"ended": "0"}),
        wire.pack({"other": 0}),
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02[]",
        b"\0\0\x01",
    ],
)
def test_an_agent_that_breaks_the_rules_is_heard_no_more(
    host: Control, path: Path, data: bytes
) -> None:
    with agent(path) as sock:
        wire.take(sock.recv)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    until(lambda: host.trouble)
    assert not host.ready
    assert host.code is None
    assert len(host.trouble) < 200


def test_only_one_is_listened_to(host: Control, path: Path) -> None:
    with agent(path) as first, agent(path) as second:
        wire.take(first.recv)
        second.settimeout(0.2)
        second.sendall(wire.pack({"ready": True}))
        with pytest.raises(TimeoutError):
            second.recv(1)
        assert not host.ready


def test_only_the_guest_is_admitted(listener: socket.socket, path: Path) -> None:
    asked = []

    def admits(address: object) -> bool:
        asked.append(address)
        return len(asked) > 1

    host = Control(listener, {}, admits=admits)
    host.start()
    with agent(path) as stranger, agent(path) as guest:
        assert stranger.recv(1) == b""
        assert wire.take(guest.recv) == ("free", {})
    host.close()


def test_data_that_are_too_much_together(listener: socket.socket) -> None:
    data = bytes(1024 * 1024)
    with pytest.raises(Misuse, match="limit for all of them together"):
        Control(listener, {f"n{number}": data for number in range(9)})


def test_closing_lets_a_waiting_agent_go(host: Control, path: Path) -> None:
    with agent(path) as sock:
        wire.take(sock.recv)
        until(lambda: host.met)
        host.close()
        assert sock.recv(1) == b""


@pytest.mark.parametrize(("sent", "answer"), [(b"\xb7", b"\xb7"), (b"\xb6", b""), (b"", b"")])
def test_the_heartbeat(listener: socket.socket, path: Path, sent: bytes, answer: bytes) -> None:
    answer_heartbeats(listener)
    with agent(path) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(10) == answer
    threads = [t for t in threading.enumerate() if t.name == "heartbeat"]
    assert threads


def frames(sock: socket.socket, message: dict[str, object]) -> None:
    """As many as the other end takes."""
    sock.settimeout(1)
    many = wire.pack(message) * 100
    with contextlib.suppress(OSError):
        for _ in range(60):
            sock.sendall(many)


def ends(step, seconds: float = 5) -> bool:
    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


@pytest.mark.parametrize("message", [{"ended": 0}, {"ready": True}])
def test_an_agent_that_talks_and_never_listens_can_be_ended(
    host: Control, path: Path, message: dict[str, object]
) -> None:
    with agent(path) as sock:
        assert wire.take(sock.recv) == ("free", {"hint": "01ff"})
        frames(sock, message)
        assert ends(host.stop)
        assert ends(host.close)


def test_an_agent_that_leaves_its_queue_full_can_be_ended(
    listener: socket.socket, path: Path
) -> None:
    made = Control(listener, {"hint": bytes(200_000)})
    made.start()
    with agent(path) as sock:
        left = len(wire.pack({"free": {"hint": "00" * 200_000}}))
        while not made.met:  # no more than lets the host go on
            left -= len(sock.recv(4096))
            time.sleep(0.001)
        assert left > 0
        assert ends(made.stop)
        assert ends(made.close)
