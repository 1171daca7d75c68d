"""Copies bytes between an attested stream and a plain socket, both ways, until both have ended."""

import contextlib
import socket
import struct
import threading
from typing import Final

from troth.channel.stream import Stream
from troth.errors import TrothError

_CHUNK: Final = 64 * 1024
_LINGER_NOT: Final = struct.pack("ii", 1, 0)  # struct linger: on, for no time


def relay(stream: Stream, plain: socket.socket, *, idle: float = 300.0) -> None:
    """Copies until both sides have ended, or one was cut; then closes both.

    A side that ends is passed on as an end, not as a cut, so that an answer still comes through after
    the question has ended. A cut of either side cuts the other: nobody takes half for the whole.

    Args:
        stream: the attested one.
        plain: connected to the local peer.
        idle: seconds after which a silent local peer counts as gone.
    """
    plain.settimeout(idle)
    outward = threading.Thread(target=_outward, args=(stream, plain), daemon=True)
    outward.start()
    try:
        while data := stream.read(_CHUNK):
            plain.sendall(data)
        with contextlib.suppress(OSError):
            plain.shutdown(socket.SHUT_WR)
        outward.join()
    except (OSError, TrothError):
        reset(plain)
    finally:
        stream.close()
        wake(plain)
        outward.join()
        plain.close()


def reset(plain: socket.socket) -> None:
    """Makes the close that follows a reset, so that the local peer sees a cut and not an end.

    Over a unix socket there are no resets; there the application's own lengths tell.
    """
    with contextlib.suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def wake(plain: socket.socket) -> None:
    """Ends a read that another thread waits in, without a word to the peer."""
    with contextlib.suppress(OSError):
        plain.shutdown(socket.SHUT_RD)


def _outward(stream: Stream, plain: socket.socket) -> None:
    try:
        while data := plain.recv(_CHUNK):
            stream.write(data)
        stream.end()
    except (OSError, TrothError):
        stream.close()  # which ends the reader, too
