"""Asking strangers: bounded in time and size, one key throughout, and nothing is followed."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from troth.channel import services
from troth.channel.services.simulate._loopback import Loopback, Reply, Request, identity
from troth.channel.web import MAX_ANSWER, Web, open_tls
from troth.errors import Malformed, Misuse, Unavailable

NOW = datetime.now(UTC)
ME, OTHER = identity(NOW), identity(NOW)


@contextmanager
def asked(answer: Callable[[Request], Reply], **given: Any) -> Iterator[Web]:
    """A friendly server, and us."""
    with (
        Loopback(answer, **({"identity": ME} | given)) as server,
        Web(server.url, dialler=server.dial) as web,
    ):
        yield web


@contextmanager
def plain(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """A host that does with each connection what the test says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    sock.recv(65536)
                    try:
                        handle(sock)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_answers_and_the_key_they_came_from() -> None:
    with asked(lambda r: Reply(body=r.path.encode())) as web:
        assert (web.get("/a").body, web.get("/b", query={"x": "1 2"}).body) == (b"/a", b"/b")
        assert (web.key, web.certificate) == (ME.spki, ME.der)
        assert [one.path for one in web.exchanges] == ["/a", "/b?x=1+2"]


def test_a_redirection_is_not_followed() -> None:
    for place in ("http://elsewhere.example/latest", "https://127.0.0.1:1/", "/elsewhere", ""):
        reply = Reply(status=302, headers={"Location": place} if place else {})
        with Loopback(lambda _, reply=reply: reply, identity=ME) as server:
            with Web(server.url, dialler=server.dial) as web, pytest.raises(Unavailable) as error:
                web.get("/")
            assert "not followed" in str(error.value)
            assert len(web.exchanges) == 1


def test_a_key_that_changes_between_two_answers() -> None:
    shown = iter([ME, OTHER, OTHER, OTHER])
    with asked(lambda _: Reply(last=True), identity=lambda _: next(shown)) as web:
        web.get("/")
        with pytest.raises(Unavailable, match="changed its key"):
            web.get("/")


def test_a_host_that_answers_one_byte_a_second() -> None:
    def drip(sock: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsomething":
            sock.sendall(bytes([byte]))
            time.sleep(0.2)

    begin = time.monotonic()
    with plain(drip) as url, Web(url, seconds=1) as web, pytest.raises(Unavailable):
        web.get("/")
    assert time.monotonic() - begin < 10


def test_a_host_that_says_nothing() -> None:
    with plain(lambda _: time.sleep(2)) as url, pytest.raises(Unavailable):
        Web(url, seconds=0.5).get("/")


@pytest.mark.parametrize("said", [True, False])
def test_fifty_megabytes(said: bool) -> None:
    sent = []

    def much(sock: socket.socket) -> None:
        length = b"Content-Length: %d\r\n" % (50 << 20) if said else b""
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        for _ in range(50 * 16):
            sock.sendall(bytes(1 << 16))
            sent.append(1 << 16)

    with plain(much) as url, Web(url) as web, pytest.raises(Malformed, match=f"{MAX_ANSWER}"):
        web.get("/")
    assert sum(sent) < (50 << 20)


def test_what_is_no_http() -> None:
    for nonsense in (b"", b"\0" * 100, b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n"):
        with (
            plain(lambda s, n=nonsense: s.sendall(n)) as url,
            pytest.raises((Malformed, Unavailable)),
        ):
            Web(url, seconds=5).get("/")


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for scheme in ("http", "https"):
        with pytest.raises(Unavailable):
            Web(f"{scheme}://127.0.0.1:{port}").get("/")
    with pytest.raises(Unavailable):
        open_tls(lambda: socket.create_connection(("127.0.0.1", port)), name="nobody")


def test_addresses_and_paths_that_are_none() -> None:
    for url in ("ftp://a", "https://", "https://a b", "http://u@h", "https://h#f"):
        with pytest.raises(Misuse):
            Web(url)
    with pytest.raises(Misuse):
        Web("https://127.0.0.1:1").get("relative")
    with pytest.raises(Misuse):
        _ = Web("http://127.0.0.1:1", dialler=lambda: socket.socketpair()[0]).key


def test_one_question_takes_only_so_many_requests() -> None:
    with asked(lambda _: Reply()) as web:
        for _ in range(64):
            web.get("/")
        with pytest.raises(Unavailable, match="requests"):
            web.get("/")


def test_a_host_that_speaks_none_of_them() -> None:
    with Loopback(lambda _: Reply(status=404), identity=ME) as server:
        with pytest.raises(Unavailable, match="by none of"):
            services.ask(server.url, services.SERVICES, dialler=server.dial)
        with pytest.raises(Misuse, match="no service is called"):
            services.ask(server.url, services.SERVICES, only="none", dialler=server.dial)


def test_a_page_on_every_path_is_no_protocol() -> None:
    """Many hosts answer everything with 200 and HTML; that is nonsense in the first protocol's words."""
    page = Reply(body=b"<!doctype html><title>hello</title>")
    with (
        Loopback(lambda _: page, identity=ME) as server,
        pytest.raises((Malformed, Unavailable)),
    ):
        services.ask(server.url, services.SERVICES, dialler=server.dial)
