"""Files over HTTP as they are read for a log: bounded, not redirected, and never from an open address."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from troth.errors import Misuse, Unavailable
from troth.trust.site import Site


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        match self.path:
            case "/log/moved":
                self.send_response(302)
                self.send_header("Location", "/log/there")
            case "/log/odd":
                self.send_response(204)
            case "/log/broken":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"half")
                return
            case "/log/there":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"x" * 1000)
                return
            case _:
                self.send_response(410 if self.path == "/log/gone" else 404)
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(409)
        self.send_header("Content-Type", "text/x.tlog.size")
        self.end_headers()
        self.wfile.write(body + bytes(100_000))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as made:
        made.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def site(server: HTTPServer) -> Site:
    return Site(f"http://127.0.0.1:{server.server_port}/log/", seconds=5)


def test_a_file(site: Site) -> None:
    assert site.get("there", limit=1000) == b"x" * 1000
    with pytest.raises(Unavailable, match="more than 999 bytes"):
        site.get("there", limit=999)


@pytest.mark.parametrize("path", ["absent", "gone"])
def test_what_is_not_there_is_told_from_what_fails(site: Site, path: str) -> None:
    with pytest.raises(Unavailable) as caught:
        site.get(path, limit=10)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize("path", ["moved", "odd", "broken"])
def test_what_is_no_answer(site: Site, server: HTTPServer, path: str) -> None:
    with pytest.raises(Unavailable) as caught:
        site.get(path, limit=1000)
    assert caught.value.__cause__ is None
    assert server.asked == [f"/log/{path}"]  # type: ignore[attr-defined]


def test_an_answer_of_any_status_is_read_to_a_bound(site: Site) -> None:
    status, kind, body = site.post("add-checkpoint", b"old 0", limit=10)
    assert (status, kind) == (409, "text/x.tlog.size")
    assert body.startswith(b"old 0")
    assert len(body) == 4096


_SLOW = {
    "a head that never ends": (b"HTTP/1.1 200 OK\r\n", b"x"),
    "another answer to come, for ever": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the words of a refusal": (b"HTTP/1.1 409 no\r\nContent-Length: 4000\r\n\r\n", b"1"),
}


@pytest.mark.parametrize("name", _SLOW)
def test_who_drips_is_left(name: str) -> None:
    """One witness of many must not keep a log from being published."""
    first, drop = _SLOW[name]
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            with listening.accept()[0] as asking:
                try:
                    asking.recv(4096)
                    asking.sendall(first)
                    while True:
                        asking.sendall(drop)
                        time.sleep(0.02)
                except OSError:
                    pass

        def ask() -> None:
            try:
                told.append(site.post("add-checkpoint", b"old 0", limit=100))
            except Unavailable as error:
                told.append(error)

        told: list[object] = []
        site = Site(f"http://127.0.0.1:{listening.getsockname()[1]}", seconds=5, whole=0.3)
        for work in (drip, ask):
            threading.Thread(target=work, daemon=True).start()
        end = time.monotonic() + 5
        while not told and time.monotonic() < end:
            time.sleep(0.02)
    assert told, "it waits for ever"
    (found,) = told
    assert isinstance(found, Unavailable) or found == (409, "", b"")


def test_nobody_there(server: HTTPServer) -> None:
    del server
    with pytest.raises(Unavailable, match="cannot reach"):
        Site("http://127.0.0.1:1").get("x", limit=1)
    with pytest.raises(Unavailable, match="cannot reach"):
        Site("http://127.0.0.1:1").post("x", b"", limit=1)


@pytest.mark.parametrize(
    "base",
    ["", "log", "ftp://h", "http://example.com", "https://u:p@h", "https://h/?q", "https://h/#f"],
)
def test_addresses_that_may_not_be_asked(base: str) -> None:
    with pytest.raises(Misuse):
        Site(base)


@pytest.mark.parametrize("path", ["\xe9.troth-log", "a b", "a?b"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(Misuse):
        Site("https://127.0.0.1:1").get(path, limit=1)
