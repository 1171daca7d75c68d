import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.channel.guard import MAX_HEAD, Refusal, check

PORT = 8080


def request(*headers: str, line: str = "GET / HTTP/1.1", host: str = "127.0.0.1:8080") -> bytes:
    return "\r\n".join([line, f"Host: {host}", *headers, "", ""]).encode("latin-1")


def test_a_plain_request_passes_and_asks_for_the_end() -> None:
    passed = check(request("Accept: */*", "Connection: keep-alive"), port=PORT)
    assert passed.head == (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    assert (passed.body_start, passed.body_size) == (b"", 0)


def test_the_body_is_counted_and_what_follows_is_dropped() -> None:
    data = request("Content-Length: 5", line="POST /bids HTTP/1.1") + b"12345GET /next HTTP/1.1"
    passed = check(data, port=PORT)
    assert (passed.body_start, passed.body_size) == (b"12345", 5)


@pytest.mark.parametrize("name", ["localhost:8080", "LOCALHOST:8080", "127.0.0.1:8080"])
def test_names_of_the_proxy(name: str) -> None:
    assert check(request(f"Origin: http://{name}", host=name), port=PORT).head


@pytest.mark.parametrize(
    "data",
    [
        request(host="evil.example"),
        request(host="127.0.0.1"),
        request(host="127.0.0.1:80"),
        request(host="127.0.0.1:8080.evil.example"),
        request(host=""),
        request("Host: 127.0.0.1:8080"),
        b"GET / HTTP/1.1\r\n\r\n",
        request("Origin: http://evil.example"),
        request("Origin: null"),
        request("Origin: https://127.0.0.1:8080"),
        request("Origin: http://127.0.0.1:8081"),
        request("Origin: http://127.0.0.1:8080", "Origin: http://evil.example"),
        request("Sec-Fetch-Site: cross-site"),
        request("Sec-Fetch-Site: same-site"),
        request("sec-fetch-site: anything"),
    ],
)
def test_other_sites_are_refused(data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        check(data, port=PORT)
    assert caught.value.status == "403 Forbidden"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_users_own_page_passes(site: str) -> None:
    assert check(request(f"Sec-Fetch-Site: {site}"), port=PORT).head


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(line="GET / HTTP/1.0"), "400"),
        (request(line="GET  / HTTP/1.1"), "400"),
        (request(line="get / HTTP/1.1"), "400"),
        (request(line="GET /\x00 HTTP/1.1"), "400"),
        (request(line="PRI * HTTP/2.0"), "400"),
        (request("Bad Header: x"), "400"),
        (request("X: a\nInjected: b"), "400"),
        (request("X: a\rInjected: b"), "400"),
        (request(" folded: x"), "400"),
        (request("X : y"), "400"),
        (request("Content-Length: 5", "Content-Length: 5"), "400"),
        (request("Content-Length: +5"), "400"),
        (request("Content-Length: 5, 5"), "400"),
        (request("Content-Length: -1"), "400"),
        (request("Content-Length: " + "9" * 16), "400"),
        (request("Transfer-Encoding: chunked"), "411"),
        (request("Content-Length: 5", "Transfer-Encoding: chunked"), "411"),
        (request("X: " + "y" * MAX_HEAD), "431"),
    ],
)
def test_what_is_not_plain_http(data: bytes, status: str) -> None:
    with pytest.raises(Refusal) as caught:
        check(data, port=PORT)
    assert caught.value.status.startswith(status)


@given(st.binary(max_size=300))
def test_junk_is_a_refusal(data: bytes) -> None:
    with pytest.raises(Refusal):
        check(data + b"\r\n\r\n", port=PORT)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_no_value_of_a_header_makes_another_line(value: str) -> None:
    try:
        head = check(request(f"X-Any: {value}"), port=PORT).head
    except Refusal:
        return
    assert head.count(b"\r\n") == 5
    assert head.count(b"\n") == head.count(b"\r") == 5


def test_white_space_costs_what_it_is_long() -> None:
    begin = time.process_time()
    with pytest.raises(Refusal):
        check(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nA:" + b" " * 2000 + b"\0\r\n\r\n", port=8000
        )
    assert time.process_time() - begin < 0.5
    found = check(b"GET / HTTP/1.1\r\nHost:\t 127.0.0.1:8000 \t\r\n\r\n", port=8000)
    assert b"Host: 127.0.0.1:8000\r\n" in found.head
