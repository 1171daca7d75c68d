"""Publishes an image's ports: TCP on the host to the image's vsock port, or what stands for it."""

import contextlib
import errno
import os
import socket
import stat
import threading
from collections.abc import Callable
from typing import Final

from troth.errors import Unavailable
from troth.runtime.state import Published

HOST: Final = "127.0.0.1"
Connect = Callable[[], socket.socket]
_CHUNK: Final = 1 << 16
_BACKLOG: Final = 128
_MAX_CONNECTIONS: Final = 256


class Forwarder:
    """One published port. The port is taken when this is made and served when `serve` is called.

    Args:
        port: the image's port.
        host_port: the port on `HOST`; 0 lets the system choose.

    Raises:
        Unavailable: the port is taken, or this user may not have it.
    """

    def __init__(self, port: int, host_port: int) -> None:
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((HOST, host_port))
            self._listener.listen(_BACKLOG)
        except OSError as error:
            self._listener.close()
            taken = error.errno == errno.EADDRINUSE
            why = "is taken" if taken else f"cannot be had: {error.strerror}"
            raise Unavailable(
                f"port {host_port} on {HOST} {why}",
                fix=f"choose another one, or let troth choose: --publish {port}:0",
            ) from None
        self.published = Published(port=port, host=HOST, host_port=self._listener.getsockname()[1])
        self._slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)

    def serve(self, connect: Connect) -> None:
        """Joins each connection to one that `connect` makes, from threads of its own.

        Args:
            connect: opens a stream to the image's port, or raises `OSError`.
        """
        threading.Thread(target=self._accept, args=(connect,), daemon=True).start()

    def close(self) -> None:
        """Gives the port back."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, connect: Connect) -> None:
        while True:
            self._slots.acquire()
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client, connect), daemon=True).start()

    def _join(self, client: socket.socket, connect: Connect) -> None:
        try:
            with client, connect() as inner:
                back = threading.Thread(target=_copy, args=(inner, client), daemon=True)
                back.start()
                _copy(client, inner)
                back.join()
        except OSError:
            return  # the image does not answer there: the client sees its connection end
        finally:
            self._slots.release()


def listen_unix(path: str) -> socket.socket:
    """A listening socket that is its owner's alone from the start.

    Raises:
        OSError: something is there, or nothing may be.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before it has a name: the file gets this mode when it is made.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def connect_unix(path: str) -> socket.socket:
    """Connects to a socket that the image made; a link of its making would lead to one of the host's.

    Raises:
        OSError: there is no socket, or nobody listens.
    """
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK), path)
        inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            inner.connect(f"/proc/self/fd/{descriptor}")
        except OSError:
            inner.close()
            raise
        return inner
    finally:
        os.close(descriptor)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copies one direction until it ends, and says so on the other side."""
    try:
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    except OSError:
        # A broken half breaks the whole: the other direction must not wait for it for ever.
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
