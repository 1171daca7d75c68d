import pytest

import troth
from troth.channel.http import Connection, Http
from troth.errors import Malformed, Misuse, Unavailable


class Canned:
    """A stream that answers with the same bytes whatever it is asked, a few at a time."""

    def __init__(self, answer: bytes, *, step: int = 7, cut: bool = False) -> None:
        self.answer = answer
        self.step = step
        self.cut = cut
        self.sent = b""

    def read(self, size: int) -> bytes:
        part = self.answer[: min(size, self.step)]
        self.answer = self.answer[len(part) :]
        if not part and self.cut:
            raise Unavailable("cut")
        return part

    def write(self, data: bytes) -> None:
        self.sent += data

    def end(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def ask(answer: bytes, *, limit: int = 1000, cut: bool = False):
    stream = Canned(answer, cut=cut)
    return Http(stream, "127.0.0.1:1").request("GET", "/", b"", {}, limit), stream


def test_a_request_and_its_answer() -> None:
    stream = Canned(b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello")
    response = Http(stream, "127.0.0.1:1").request("POST", "/x?y=z", b"data", {"X-B": "c"}, 1000)
    assert (response.status, response.reason, response.body) == (201, "Created", b"hello")
    assert ("X-A", "b") in response.headers
    assert response.ok
    assert stream.sent.startswith(b"POST /x?y=z HTTP/1.1\r\nHost: 127.0.0.1:1\r\n")
    assert stream.sent.endswith(b"\r\n\r\ndata")


def test_chunked_and_close_delimited_bodies() -> None:
    response, _ = ask(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert response.body == b"abc"
    response, _ = ask(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
    assert response.body == b"abc"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_chunks_with_extensions_and_trailers() -> None:
    body = b"0A;a=b\r\n0123456789\r\n00000000000000a\r\n0123456789\r\n0;c\r\nX: y\r\n\r\n"
    response, _ = ask(CHUNKED + body)
    assert response.body == b"0123456789" * 2
    assert "X" not in dict(response.headers)


@pytest.mark.parametrize(
    "size",
    [
        *(b"-1", b"+3", b" 3", b"3 ", b"\t3", b"0x3", b"0_3", b"3_0", b"", b";x", b"3 ;x", b"3\r"),
        *(b"\xd9\xa3", b"0" * 16 + b"3", b"3;" + b"x" * 2000, b"3\r\n3"),
    ],
)
def test_a_chunk_has_a_size_in_hexadecimal_and_nothing_else(size: bytes) -> None:
    """The library's own reading takes `-1` for a chunk without end."""
    with pytest.raises(Malformed, match="chunk"):
        ask(CHUNKED + size + b"\r\nabc\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "body",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nabc\n\n0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"3\r\nabc\r\n0\r\n",
        b"3\r\nabc\r\n0\r\nX: y\r\n",
        b"3\r\nabc\r\n0\r\n\n",
        b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"3\r\nabc\r\n0\r\nX: " + b"y" * 2000 + b"\r\n\r\n",
    ],
)
def test_chunks_end_where_they_say(body: bytes) -> None:
    with pytest.raises(Malformed):
        ask(CHUNKED + body)


@pytest.mark.parametrize(
    "fields",
    [
        *(b"Content-Length: " + n for n in (b"+3", b"-1", b"0x3", b"1_0", b"", b"3,3", b"3 3")),
        *(b"Content-Length: " + n for n in (b"\xb3", b"3.0", b"0" * 18 + b"3", b"3\r\n 0")),
        b"Content-Length: 3\r\ncontent-length: 4",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding:",
        b"Content-Length: 3\r\nno field\r\nTransfer-Encoding: chunked",
        b"Content-Length : 3",
        b" Content-Length: 3",
    ],
)
def test_where_a_body_ends_is_said_once(fields: bytes) -> None:
    for method in ("GET", "HEAD"):
        stream = Canned(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        with pytest.raises(Malformed):
            Http(stream, "127.0.0.1:1").request(method, "/", b"", {}, 1000)


def test_the_same_length_twice_and_a_body_of_parts() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3 \r\nContent-Length:3\r\n"
    response, _ = ask(head + b"Content-Type: multipart/mixed\r\n\r\nabc")
    assert response.body == b"abc"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_without_a_body(method: str, status: int) -> None:
    stream = Canned(b"HTTP/1.1 %d OK\r\nContent-Length: 5\r\n\r\n" % status)
    response = Http(stream, "127.0.0.1:1").request(method, "/", b"", {}, 1000)
    assert (response.status, response.body) == (status, b"")


def test_nothing_is_asked_after_an_answer_that_was_refused() -> None:
    stream = Canned(CHUNKED + b"-1\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    http = Http(stream, "127.0.0.1:1")
    with pytest.raises(Malformed):
        http.request("GET", "/", b"", {}, 1000)
    sent = stream.sent
    with pytest.raises(Unavailable, match="has ended") as caught:
        http.request("GET", "/", b"", {}, 1000)
    assert caught.value.fix == "connect again"
    assert stream.sent == sent


def test_a_close_delimited_body_that_was_cut_is_no_body() -> None:
    with pytest.raises(Unavailable):
        ask(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab", cut=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_answer(answer: bytes) -> None:
    with pytest.raises(Malformed):
        ask(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b"x" * 11,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 11,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n"
        + b"x" * 11
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 11,
    ],
)
def test_a_body_over_the_limit(answer: bytes) -> None:
    with pytest.raises(Malformed, match="longer than 10"):
        ask(answer, limit=10)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/a b", {}),
        ("GET", "/\r\nX: y", {}),
        ("GE T", "/", {}),
        ("get", "/", {}),
        ("GET\r\n", "/", {}),
        ("GET", "/", {"X": "a\r\nY: b"}),
        ("GET", "/", {"X\r\n": "a"}),
    ],
)
def test_what_http_cannot_say(method: str, path: str, headers: dict[str, str]) -> None:
    stream = Canned(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(Misuse):
        Http(stream, "127.0.0.1:1").request(method, path, b"", headers, 1000)
    assert stream.sent == b""


def test_several_requests_over_one_verdict_until_the_server_ends_it(stage) -> None:
    enclave = stage.enclave()
    with troth.connect(
        enclave.url, policy=stage.policy, trust=stage.trust, at=stage.clock
    ) as connection:
        assert isinstance(connection, Connection)
        assert connection.verified.claims.platform == "nitro"
        for _ in range(3):
            assert connection.request("GET", "/").body == b"hello"
        assert connection.request("GET", "/", headers={"Connection": "close"}).body == b"hello"
        with pytest.raises(Unavailable):
            connection.request("GET", "/")
    assert len(enclave.recorded) == 1


def test_no_answer_at_all() -> None:
    with pytest.raises(Unavailable, match="without an answer"):
        ask(b"")


def test_nobody_there() -> None:
    with pytest.raises(Unavailable, match="cannot connect"):
        troth.connect("https://127.0.0.1:1/", policy=troth.Policy(name="any"))
