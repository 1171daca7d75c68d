"""Attacks by servers of collateral: digits that are none, and numbers that are too long to read."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from tests.trust.server import INFO

from troth.errors import Unavailable
from troth.trust.fetch import Patience, Servers, fetch

ONCE = Patience(attempts=1, timeout=timedelta(seconds=5))


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that says this to whoever asks, once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as asking:
                asking.recv(64 * 1024)
                asking.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Busy\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Busy\r\nRetry-After: 1\xb9\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nConnection: close\r\n\r\n{}",
    ],
)
def test_a_number_that_is_none(answer: bytes) -> None:
    with answering(answer) as base, pytest.raises(Unavailable):
        fetch(INFO, servers=Servers(pcs=base), patience=ONCE, sleep=lambda _: None)
