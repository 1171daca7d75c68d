import socket

import pytest

from troth.channel import dial
from troth.errors import Misuse


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://127.0.0.1:8443", "127.0.0.1:8443", "/"),
        ("https://127.0.0.1:8443/a/b?c=d", "127.0.0.1:8443", "/a/b?c=d"),
        ("https://example.org/x", "example.org:443", "/x"),
        ("https://[::1]:9/", "[::1]:9", "/"),
    ],
)
def test_addresses(url: str, authority: str, path: str) -> None:
    target = dial.parse(url)
    assert (target.authority, target.path) == (authority, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8443",
        "http://127.0.0.1:8443/",
        "https://",
        "https://user@host/",
        "https://host/#part",
        "https://host:99999/",
        "https://host:port/",
        "https://host/a b",
        "https://host/\r\nX: y",
        "https://höst/",
        "https://[::1/",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(Misuse):
        dial.parse(url)


def test_the_dialler_connects_each_time_anew() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        dialler = dial.parse(f"https://127.0.0.1:{port}").dialler()
        with dialler() as first, dialler() as second:
            assert first.getsockname() != second.getsockname()
