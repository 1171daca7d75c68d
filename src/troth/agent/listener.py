"""The attested way in: takes connections from the host, and leads what was attested to the app.

The host carries bytes and nothing else: over vsock, or over what stands for it in a simulation.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from troth.agent.attest import PLATFORM
from troth.channel.relay import relay
from troth.channel.server import IDLE_SECONDS, Attest, Credentials, accept
from troth.channel.stream import Stream
from troth.errors import TrothError

MOST_CONNECTIONS: Final = 128
CONNECT_SECONDS: Final = 5.0
PAUSE: Final = 0.1
"""Seconds until it is tried again where no connection could be taken."""
Door = Callable[[socket.socket], Stream]


def reach(port: int, seconds: float) -> socket.socket:
    """A connection to the app's port on loopback.

    The library's `create_connection` would look the address up first, and load what names in all
    languages take.

    Raises:
        OSError: nobody listens there.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


class Listener:
    """Serves one published port.

    Args:
        port: the app's port on the enclave's loopback.
        listener: that the host can reach.
        door: makes a stream of a connection; `attested(…)` or `Plain`.
    """

    def __init__(self, port: int, listener: socket.socket, door: Door) -> None:
        self._port = port
        self._listener = listener
        self._door = door
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def start(self) -> None:
        """Serves in threads of its own until the process ends."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # no descriptor is left, or a caller is gone already: others come
                if self._listener.fileno() < 0:
                    return
                time.sleep(PAUSE)
                continue
            if not self._room.acquire(blocking=False):
                sock.close()
                continue
            try:
                threading.Thread(target=self._one, args=(sock,), daemon=True).start()
            except RuntimeError:  # no thread is left
                sock.close()
                self._room.release()

    def _one(self, sock: socket.socket) -> None:
        try:
            stream = self._door(sock)
            try:
                app = reach(self._port, CONNECT_SECONDS)
            except OSError:
                stream.close()
                return
            relay(stream, app)
        except (TrothError, OSError):
            # The peer's doing: not our protocol, or gone. It was told as far as TLS tells.
            with contextlib.suppress(OSError):
                sock.close()
        finally:
            self._room.release()


def attested(credentials: Credentials, attest: Attest) -> Door:
    """The attested channel.

    Args:
        credentials: key and certificate of this start.
        attest: makes evidence of a session.
    """
    return lambda sock: accept(sock, credentials, attest, platform=PLATFORM)


class Plain:
    """The bytes as they come, for an app that attests for itself."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.settimeout(IDLE_SECONDS)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, empty at the end."""
        return self._sock.recv(size)

    def write(self, data: bytes) -> None:
        """All of it."""
        self._sock.sendall(data)

    def end(self) -> None:
        """Nothing more will be written."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Nothing more at all."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
