"""Somebody on the way who passes bytes on, and cuts the connection after some of the server's."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Dial = Callable[[], socket.socket]
_RESET = struct.pack("ii", 1, 0)  # struct linger: on, for no time


@dataclass
class Way:
    """The way to a server; `passed` has how many of its bytes came through on each connection."""

    dial: Dial
    passed: list[int] = field(default_factory=list)


@contextlib.contextmanager
def cutting(dial: Dial, *, after: int, reset: bool = False) -> Iterator[Way]:
    """A way to a server on which at most `after` bytes of its own come through.

    Args:
        dial: a connection to the server itself.
        after: bytes of the server's, of each connection.
        reset: whether the cut is a reset; an end of the stream if not, which TLS has no word for.
    """
    open_ends: list[socket.socket] = []
    threads: list[threading.Thread] = []

    way = Way(dial)

    def through() -> socket.socket:
        mine, theirs = socket.socketpair() if not reset else _tcp_pair()
        server = dial()
        open_ends.extend((theirs, server))
        way.passed.append(0)
        at = len(way.passed) - 1

        def inward() -> None:
            for count in _inward(server, theirs, after):
                way.passed[at] += count

        for work in (lambda: _outward(theirs, server), inward):
            threads.append(threading.Thread(target=work, daemon=True))
            threads[-1].start()
        return mine

    way.dial = through
    try:
        yield way
    finally:
        for end in open_ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        for end in open_ends:
            end.close()


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        mine = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return mine, theirs


def _outward(client: socket.socket, server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := client.recv(65536):
            server.sendall(data)


def _inward(server: socket.socket, client: socket.socket, left: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        while left and (data := server.recv(min(left, 65536))):
            client.sendall(data)
            left -= len(data)
            yield len(data)
    with contextlib.suppress(OSError):
        # A descriptor that another thread reads from is not closed by close() alone.
        client.shutdown(socket.SHUT_RD)
        client.close()
