import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from troth.channel.proxy import Proxy, listen_local, listen_unix
from troth.errors import Unavailable
from troth.policy import Policy


class Door:
    """A running proxy, and all that it told."""

    def __init__(self, listener: socket.socket, opened) -> None:
        self.told: list[str] = []
        self.proxy = Proxy(listener, opened, tell=self.told.append)
        self.thread = threading.Thread(target=self.proxy.serve, daemon=True)
        self.thread.start()
        self.port = 0 if listener.family == socket.AF_UNIX else listener.getsockname()[1]

    def say(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall(data)
            answer = b""
            while part := sock.recv(65536):
                answer += part
            return answer

    def close(self) -> None:
        self.proxy.close()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def enclave(stage):
    return stage.enclave()


@pytest.fixture
def door(stage, enclave) -> Iterator[Door]:
    made = Door(listen_local(), lambda: stage.connect(enclave.net.port))
    yield made
    made.close()


def test_programs_speak_plain_http(door, enclave) -> None:
    assert door.proxy.address == f"http://127.0.0.1:{door.port}"
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=5)
    connection.request("POST", "/bids", body=b"x" * 100_000)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"hello")
    connection.close()
    assert enclave.received.startswith(b"POST /bids HTTP/1.1\r\n")
    assert enclave.received.endswith(b"x" * 100_000)
    assert b"connection: close" in enclave.received.lower()


def test_each_connection_is_verified_anew(door, enclave) -> None:
    for count in (1, 2, 3):
        assert b"hello" in door.say(
            f"GET / HTTP/1.1\r\nHost: localhost:{door.port}\r\n\r\n".encode()
        )
        assert len(enclave.recorded) == count
    assert len({nonce for _, _, nonce, _ in enclave.recorded}) == 3


@pytest.mark.parametrize(
    "headers",
    [
        "Host: rebound.example",
        "Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example",
        "Host: 127.0.0.1:{port}\r\nOrigin: null",
        "Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site",
    ],
)
def test_a_page_of_another_site_is_refused_before_anything_is_dialled(
    door, enclave, headers: str
) -> None:
    answer = door.say(f"GET / HTTP/1.1\r\n{headers.format(port=door.port)}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 Forbidden")
    assert b"hello" not in answer
    assert enclave.recorded == []
    assert enclave.received == b""
    assert len(door.told) == 1


def test_a_second_request_on_the_same_connection_is_never_passed_on(door, enclave) -> None:
    first = f"GET /first HTTP/1.1\r\nHost: localhost:{door.port}\r\n\r\n"
    door.say((first + "GET /second HTTP/1.1\r\nHost: evil.example\r\n\r\n").encode())
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as sock:
        sock.sendall(first.encode())
        assert sock.recv(65536)
        try:
            sock.sendall(b"GET /second HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            sock.recv(65536)
        except OSError:
            pass
    enclave.net.settle()
    assert b"/first" in enclave.received
    assert b"/second" not in enclave.received


def test_junk_and_a_head_without_end(door, enclave) -> None:
    assert door.say(b"\x16\x03\x01" + b"\x00" * 50 + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert door.say(b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000).startswith(b"HTTP/1.1 431")
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as sock:
        sock.sendall(b"GET / HTT")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100).startswith(b"HTTP/1.1 400")
    assert enclave.received == b""


def test_a_rejected_enclave_gets_nothing_and_the_program_learns_why(stage, enclave) -> None:
    other = Policy.for_image({"nitro": {f"pcr{i}": "99" * 48 for i in range(3)}})
    door = Door(listen_local(), lambda: stage.connect(enclave.net.port, policy=other))
    answer = door.say(
        f"POST / HTTP/1.1\r\nHost: localhost:{door.port}\r\nContent-Length: 6\r\n\r\nsecret".encode()
    )
    door.close()
    assert answer.startswith(b"HTTP/1.1 502")
    assert b"M201" in answer
    assert enclave.received == b""
    assert "M201" in door.told[0]


def test_an_answer_that_was_cut_is_not_taken_for_a_whole_one(stage, enclave) -> None:
    def half(session) -> None:
        session.read(1000)
        session.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
        session._socket.close()

    enclave.app = half
    door = Door(listen_local(), lambda: stage.connect(enclave.net.port))
    with pytest.raises(ConnectionResetError):
        door.say(f"GET / HTTP/1.1\r\nHost: localhost:{door.port}\r\n\r\n".encode())
    door.close()


def test_a_body_that_ends_early_is_not_sent_as_a_whole_one(door, enclave) -> None:
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as sock:
        sock.sendall(
            f"POST / HTTP/1.1\r\nHost: localhost:{door.port}\r\nContent-Length: 9\r\n\r\nhalf".encode()
        )
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert b"200 OK" not in sock.recv(1000)
    enclave.net.settle()
    assert enclave.received.endswith(b"half")  # the length in the head tells the application


def test_a_unix_socket_is_this_users_alone_and_goes_with_the_proxy(
    stage, enclave, tmp_path: Path
) -> None:
    path = tmp_path / "app.sock"
    door = Door(listen_unix(str(path)), lambda: stage.connect(enclave.net.port))
    assert door.proxy.address == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        for _ in range(2):  # here a connection may carry several requests
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert sock.recv(1000).endswith(b"hello")
    door.close()
    assert not path.exists()


def test_a_unix_socket_of_a_rejected_enclave(stage, enclave, tmp_path: Path) -> None:
    door = Door(listen_unix(str(tmp_path / "s")), lambda: stage.connect(enclave.net.port, trust=()))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(tmp_path / "s"))
        assert b"G101" in sock.recv(1000)
    door.close()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(Unavailable):
        listen_unix(str(tmp_path / "there"))
    with pytest.raises(Unavailable):
        listen_unix(str(tmp_path / "no" / "folder"))
    with listen_local() as taken, pytest.raises(Unavailable, match="in use"):
        listen_local(taken.getsockname()[1])
    assert (tmp_path / "there").read_text() == "mine"
