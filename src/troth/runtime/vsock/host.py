"""The host's end, by Firecracker's convention: unix sockets beside each other.

Programs of the host reach the guest at `<uds>`: they send `CONNECT <port>` and a line feed, and get `OK`
with a number and a line feed, or the end of the connection. The guest reaches the host's port at
`<uds>_<port>`, where whoever serves it listens.
"""

import contextlib
import errno
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from troth.errors import Unavailable
from troth.runtime.forward import listen_unix
from troth.runtime.vsock.device import MOST_STREAMS, Device
from troth.runtime.vsock.loop import IN, Loop

ANY_PORT: Final = 0xFFFF_FFFF
_LINE: Final = re.compile(rb"CONNECT (0|[1-9][0-9]{0,9})\n")
_OK: Final = re.compile(rb"OK [0-9]{1,10}\n")
_SHORTEST_LINE: Final = len(b"CONNECT 0\n")
_LONGEST_LINE: Final = len(b"CONNECT 4294967295\n")
_LINE_SECONDS: Final = 5.0
_REST_SECONDS: Final = 0.2
_QUEUE_SECONDS: Final = 0.01
_ADDRESS_ROOM: Final = 107  # what Linux has for a path in a socket's address


def listen(path: Path, *, longer: int = 0) -> socket.socket:
    """A listening unix socket that is its owner's alone from the start.

    Args:
        path: where; nothing may be there.
        longer: how many bytes longer other paths beside it will be.

    Raises:
        Unavailable: it can't be there.
    """
    if len(os.fsencode(path)) + longer > _ADDRESS_ROOM:
        raise Unavailable(
            f"{path} is too long for the address of a unix socket",
            fix=f"choose one of at most {_ADDRESS_ROOM - longer} bytes; a relative one may be shorter",
        )
    try:
        listener = listen_unix(str(path))
    except OSError as error:
        raise Unavailable(f"no socket at {path}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def dial(uds: Path, port: int) -> socket.socket | None:
    """Connects to the host's port, without blocking; None if nobody takes it there and now."""
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError:
        return None
    try:
        sock.connect(f"{uds}_{port}")
    except OSError:
        sock.close()
        return None
    return sock


class Gate:
    """A listening socket that is open, shut, or rests because nobody could be let in.

    Args:
        loop: where it is watched.
        listener: from `listen`.
        enter: is given each connection.
    """

    def __init__(
        self, loop: Loop, listener: socket.socket, enter: Callable[[socket.socket], None]
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._enter = enter
        self._rests_until = 0.0
        self._open = False

    def tend(self, *, is_open: bool) -> None:
        """Opens or shuts it."""
        is_open = is_open and self._rests_until <= time.monotonic()
        if is_open and not self._open:
            self._loop.watch(self._listener.fileno(), IN, self._knock)
        elif self._open and not is_open:
            self._loop.forget(self._listener.fileno())
        self._open = is_open

    def wait(self) -> float | None:
        """Seconds until it has rested; None if it does not rest."""
        left = self._rests_until - time.monotonic()
        return left if left > 0 else None

    def close(self) -> None:
        """Takes it away."""
        self._loop.dispose(self._listener)

    def _knock(self, _: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:
            # No descriptors left, say. Who knocks stays in the queue; to ask again at once is no use.
            self._rests_until = time.monotonic() + _REST_SECONDS
            self.tend(is_open=False)
            return
        sock.setblocking(False)
        self._enter(sock)


class Door:
    """`<uds>`, and those who stand in it until they have said where to.

    Args:
        loop: where it is watched.
        device: whom the guest's ports are asked of.
        listener: from `listen`.
    """

    def __init__(self, loop: Loop, device: Device, listener: socket.socket) -> None:
        self._loop = loop
        self._device = device
        self._gate = Gate(loop, listener, self._enter)
        self._asking: dict[socket.socket, tuple[bytearray, float]] = {}
        self.tend()

    def tend(self) -> None:
        """Lets in as many as there is room for, and lets go of those who say nothing."""
        if self._asking:
            now = time.monotonic()
            for sock in [one for one, (_, until) in self._asking.items() if until <= now]:
                self._leave(sock)
        self._gate.tend(is_open=self._device.count() + len(self._asking) < MOST_STREAMS)

    def wait(self) -> float | None:
        """Seconds until `tend` has something to do; None if that is not known."""
        rest = self._gate.wait()
        if not self._asking:
            return rest
        first = min(until for _, until in self._asking.values()) - time.monotonic()
        return max(0.0, first if rest is None else min(first, rest))

    def close(self) -> None:
        """Sends everybody away."""
        for sock in list(self._asking):
            self._leave(sock)
        self._gate.close()

    def _enter(self, sock: socket.socket) -> None:
        self._asking[sock] = (bytearray(), time.monotonic() + _LINE_SECONDS)
        self._loop.watch(sock.fileno(), IN, lambda _: self._listen_to(sock))

    def _listen_to(self, sock: socket.socket) -> None:
        line, _ = self._asking[sock]
        # Not a byte beyond the line: what comes behind it is the guest's.
        while not line.endswith(b"\n"):
            try:
                data = sock.recv(max(1, _SHORTEST_LINE - len(line)))
            except BlockingIOError:
                return
            except OSError:
                data = b""
            line += data
            if not data or len(line) > _LONGEST_LINE:
                self._leave(sock)
                return
        asked = _LINE.fullmatch(line)
        device = self._device
        if asked is None or int(asked[1]) >= ANY_PORT or not device.running() or device.full():
            self._leave(sock)
            return
        del self._asking[sock]
        self._loop.forget(sock.fileno())
        device.connect(int(asked[1]), sock)

    def _leave(self, sock: socket.socket) -> None:
        del self._asking[sock]
        self._loop.dispose(sock)


def _reach(sock: socket.socket, path: Path, until: float) -> None:
    """Connects, waiting for a place in a full queue, for which Linux has no waiting with a limit."""
    sock.setblocking(False)
    while True:
        try:
            sock.connect(str(path))
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, f"nobody lets in at {path}") from None
            time.sleep(_QUEUE_SECONDS)
        else:
            return


def call(uds: Path, port: int, timeout: float) -> socket.socket:
    """A stream to the guest's port, as any program of the host gets one.

    Raises:
        ConnectionRefusedError: there is no guest yet, or nobody listens there.
        TimeoutError: there was no answer in time.
        OSError: there is no such socket.
    """
    until = time.monotonic() + timeout
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        _reach(sock, uds, until)
        line = b""
        try:
            sock.settimeout(timeout)
            sock.sendall(b"CONNECT %d\n" % port)
            while not line.endswith(b"\n"):
                sock.settimeout(max(0.001, until - time.monotonic()))
                data = sock.recv(1)
                line += data
                if not data or len(line) > _LONGEST_LINE:
                    break
        except ConnectionError:
            line = b""
        if not _OK.fullmatch(line):
            raise ConnectionRefusedError(
                errno.ECONNREFUSED, f"nobody answers at the guest's port {port}"
            )
        sock.settimeout(None)
        undo.pop_all()
        return sock
