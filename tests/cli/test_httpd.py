"""The small server against clients that are slow, greedy, many, or wrong."""

import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest
from tests.cli.served import connect, drain, exchange, serving

from troth.cli import _httpd
from troth.cli._httpd import Asked, Told
from troth.errors import Misuse, TrothError, Unavailable

GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


def echo(asked: Asked) -> Told:
    if asked.path == "/fails":
        raise Unavailable("the disk is gone")
    text = f"{asked.method} {asked.path} {asked.body.decode('latin-1')}"
    return _httpd.of(HTTPStatus.OK, text.encode(), content_type="text/plain")


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_question_and_its_answer() -> None:
    with serving(echo, most_body=10) as at:
        answer = exchange(at, GET)
        head, body = answer.split(b"\r\n\r\n")
        assert body == b"GET /x "
        assert b"Content-Length: 7" in head
        assert b"Cache-Control: no-store" in head
        post = b"POST /y HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
        assert exchange(at, post).endswith(b"\r\n\r\nPOST /y abc")
        bare = exchange(at, GET.replace(b"GET", b"HEAD"))
        assert bare.endswith(b"\r\n\r\n")
        assert b"Content-Length: 8" in bare


def test_several_questions_on_one_connection() -> None:
    with serving(echo, most_body=10) as at:
        one = b"POST /y HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
        answer = exchange(at, GET + one + GET.replace(b"Host: h", b"Connection: close") + GET)
        assert answer.count(b"HTTP/1.1 200") == 3
        assert answer.count(b"Connection: close") == 1
        old = exchange(at, GET.replace(b"1.1", b"1.0") + GET, end=False)
        assert old.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"junk\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\n\r\n", 400),
        (b"GET /x HTTP/2.0\r\n\r\n", 400),
        (b"get /x HTTP/1.1\r\n\r\n", 400),
        (b"GET /x y HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nno field\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nA: b\r\n folded: c\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nA : b\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\nA: b\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nA: \0\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        (b"GET /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nContent-Length: 1e1\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nContent-Length: 11\r\n\r\n", 413),
        (b"GET /x HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 413),
        (b"GET /x HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET /x HTTP/1.1\r\nA: " + b"b" * 9000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_question(request_: bytes, expected: int) -> None:
    with serving(echo, most_body=10) as at:
        answer = exchange(at, request_ + GET)
        assert status(answer) == expected
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"Connection: close" in answer


def test_white_space_costs_what_it_is_long() -> None:
    """Matched in many ways it would keep the whole server busy for hours, on one request."""
    begin = time.process_time()
    for value in (" " * 2000 + "\0", " \t" * 1000 + "x" + "\t " * 1000 + "\0"):
        assert _httpd._head(f"GET /x HTTP/1.1\r\nA:{value}\r\n\r\n") == 400
    assert time.process_time() - begin < 0.5
    assert _httpd._head("GET /x HTTP/1.1\r\nContent-Length:\t 5 \t\r\n\r\n") == (
        ("GET", "/x", 5, False)
    )


def test_a_question_that_breaks_off() -> None:
    with serving(echo, most_body=10) as at:
        for data in (b"", b"GET /x", b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"):
            assert exchange(at, data) == b""
        assert status(exchange(at, GET)) == 200


def test_a_handler_that_fails_is_not_now() -> None:
    complaints: list[TrothError] = []
    with serving(echo, complaints=complaints) as at:
        answer = exchange(at, GET.replace(b"/x", b"/fails"))
        assert status(answer) == 503
        assert b"disk" not in answer
        assert status(exchange(at, GET)) == 200
    assert [str(e) for e in complaints] == ["the disk is gone"]


def _drip(*socks: socket.socket) -> None:
    for _ in range(100):
        for sock in socks:
            sock.sendall(b"x")
        time.sleep(0.05)


def test_slow_clients_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_httpd, "_HEAD_SECONDS", 0.4)
    monkeypatch.setattr(_httpd, "_BODY_SECONDS", 0.4)
    with serving(echo, most_body=100) as at:
        begun = time.monotonic()
        with connect(at) as head, connect(at) as body, connect(at) as idle:
            body.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 50\r\n\r\n")
            with pytest.raises(OSError):  # noqa: PT011 - reset, or a broken pipe
                _drip(head, body)
            assert drain(idle) == b""
        assert time.monotonic() - begun < 15
        assert status(exchange(at, GET)) == 200


def test_who_does_not_read_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_httpd, "_PIECE_SECONDS", 2)
    path = tmp_path / "large"
    path.write_bytes(bytes(32 << 20))
    opened = []

    def large(_: Asked) -> Told:
        file = path.open("rb")
        opened.append(file)
        return Told(status=HTTPStatus.OK, content_type="x/y", body=file, size=32 << 20)

    with serving(large) as at:
        assert len(exchange(at, GET)) > 32 << 20
        with connect(at) as lazy:
            lazy.sendall(GET)
            end = time.monotonic() + 30
            while len(opened) < 2 or not opened[1].closed:
                assert time.monotonic() < end
                time.sleep(0.05)
    assert all(file.closed for file in opened)


def test_a_file_that_shrinks_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")

    def shrunk(_: Asked) -> Told:
        return Told(status=HTTPStatus.OK, content_type="x/y", body=path.open("rb"), size=10)

    with serving(shrunk) as at:
        assert exchange(at, GET + GET).endswith(b"\r\n\r\nabc")


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_httpd, "_MOST_CONNECTIONS", 50)
    with serving(echo) as at:
        idle = [connect(at) for _ in range(49)]
        assert status(exchange(at, GET)) == 200

        def full() -> bool:
            """No room; else one more takes some, unless the last one's place was not free yet."""
            if exchange(at, GET) == b"":
                return True
            idle.append(connect(at))
            return False

        _until(full)
        for sock in idle:
            sock.close()
        _until(lambda: exchange(at, GET) != b"")
        results: list[int] = []
        threads = [
            threading.Thread(target=lambda: results.append(status(exchange(at, GET))))
            for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [200] * 40


def test_where_it_listens() -> None:
    assert _httpd.listen("127.0.0.1:80") == ("127.0.0.1", 80)
    assert _httpd.listen("[::1]:0") == ("::1", 0)
    for text in ("", "80", ":80", "127.0.0.1", "127.0.0.1:99999", "a b:1", "http://h:1"):
        with pytest.raises(Misuse):
            _httpd.listen(text)
    with (
        serving(echo) as at,
        pytest.raises(Unavailable, match="cannot listen"),
    ):
        _httpd.serve(_httpd.listen(at), echo, ready=print, complain=print)
