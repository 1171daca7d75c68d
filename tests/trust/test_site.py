"""Files over HTTP as they are read for a log: bounded, not redirected, and never from an open address."""

import threading
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
