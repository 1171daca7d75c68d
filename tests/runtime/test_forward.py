"""Ports on the host: taken, forwarded both ways, half closed, and given back."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.runtime.forward import Forwarder, connect_unix, listen_unix


def inner(path: Path, handle: Callable[[socket.socket], None]) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    handle(sock)

    threading.Thread(target=serve, daemon=True).start()
    return listener


def whole(sock: socket.socket) -> bytes:
    parts = b""
    while part := sock.recv(1 << 16):
        parts += part
    return parts


@pytest.fixture
def forwarder():
    made = Forwarder(8080, 0)
    yield made
    made.close()


def connect(forwarder: Forwarder) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", forwarder.published.host_port), 10)
    sock.settimeout(10)
    return sock


def test_a_socket_is_its_owners_alone(tmp_path) -> None:
    path = tmp_path / "s"
    with listen_unix(str(path)), connect_unix(str(path)):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(OSError, match="in use"):
            listen_unix(str(path))


def test_both_ways_and_half_closed(forwarder, tmp_path) -> None:
    data = bytes(range(256)) * 8192

    def answer(sock: socket.socket) -> None:
        sock.sendall(whole(sock)[::-1])

    with inner(tmp_path / "s", answer):
        forwarder.serve(lambda: connect_unix(str(tmp_path / "s")))
        with connect(forwarder) as sock:
            threading.Thread(
                target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR))
            ).start()
            assert whole(sock) == data[::-1]


def test_it_ends_where_nothing_answers_and_goes_on_for_others(forwarder, tmp_path) -> None:
    forwarder.serve(lambda: connect_unix(str(tmp_path / "s")))
    with connect(forwarder) as sock:
        assert whole(sock) == b""
    with inner(tmp_path / "s", lambda sock: sock.sendall(b"here")), connect(forwarder) as sock:
        assert whole(sock) == b"here"


def test_a_taken_port_names_itself_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port} .* is taken") as raised:
            Forwarder(8080, port)
    assert "8080:0" in raised.value.fix


def test_a_port_is_given_back(forwarder) -> None:
    port = forwarder.published.host_port
    forwarder.close()
    Forwarder(8080, port).close()
