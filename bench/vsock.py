"""Streams through the vsock back end beside a plain unix socket, to the same program in a process of its own.

That program is the guest of the tests: a driver of the rings in Python, without a virtual machine. What
it does with rings and credit is part of every number here and of none on the plain socket; a guest's
kernel does it faster, but under emulation pays for each kick. So the ratio is an upper bound for the
back end, and says nothing of a machine.
"""

import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.timing import Line, best
from tests.runtime.vsock.front import Front
from tests.runtime.vsock.guest import Guest

from troth.runtime.vsock import Vsock

SIZE = 8 << 20
TRIPS = 200
PORT = 1
_CHUNK = 1 << 16


def _serve(take: Callable[[int], bytes], send: Callable[[bytes], object]) -> None:
    """The guest's program: told by one letter what to do next."""
    data = bytes(SIZE)
    while True:
        order = take(1)
        if order == b"s":
            send(data)
        elif order == b"r":
            take(SIZE)
            send(b".")
        elif order == b"e":
            for _ in range(TRIPS):
                send(take(1))
        else:
            return


def _plain(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)

        def take(size: int) -> bytes:
            data = bytearray()
            while len(data) < size:
                data += sock.recv(min(size - len(data), _CHUNK)) or b"?" * size
            return bytes(data)

        _serve(take, sock.sendall)


def _guest(path: str) -> None:
    guest = Guest(Front(Path(path)))
    stream = guest.connect(PORT)
    _serve(stream.exactly, stream.send)


def _down(sock: socket.socket) -> None:
    sock.sendall(b"s")
    left = SIZE
    while left:
        data = sock.recv(_CHUNK)
        assert data, "the other end has gone"
        left -= len(data)


def _up(sock: socket.socket) -> None:
    sock.sendall(b"r" + bytes(SIZE))
    assert sock.recv(1) == b"."


def _trips(sock: socket.socket) -> None:
    sock.sendall(b"e")
    for _ in range(TRIPS):
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"


@contextlib.contextmanager
def _peer(kind: str, path: str, listener: socket.socket) -> Iterator[socket.socket]:
    argv = [sys.executable, "-m", "bench.vsock", kind, path]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
        listener.settimeout(30)
        sock, _ = listener.accept()
        yield sock
        sock.sendall(b".")
        process.wait(30)
        sock.close()


def _listener(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener


def streams() -> list[Line]:
    """Both directions, and the way of a byte there and back."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        front, uds = Path(folder, "front"), Path(folder, "uds")
        stack.enter_context(Vsock(front, uds))
        plain, port = _listener(f"{folder}/plain"), _listener(f"{uds}_{PORT}")
        stack.callback(plain.close)
        stack.callback(port.close)
        one = stack.enter_context(_peer("plain", f"{folder}/plain", plain))
        other = stack.enter_context(_peer("guest", str(front), port))
        took = best(
            {
                "plain down": lambda: _down(one),
                "down": lambda: _down(other),
                "plain up": lambda: _up(one),
                "up": lambda: _up(other),
                "plain trips": lambda: _trips(one),
                "trips": lambda: _trips(other),
            },
            rounds=12,
        )
    mib = SIZE >> 20
    socket_ = "a unix socket"
    return [
        Line(f"vsock, {mib} MiB from the guest", took["down"], socket_, took["plain down"]),
        Line(f"vsock, {mib} MiB to the guest", took["up"], socket_, took["plain up"]),
        Line(
            "vsock, a byte there and back",
            took["trips"] / TRIPS,
            socket_,
            took["plain trips"] / TRIPS,
        ),
    ]


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"plain": _plain, "guest": _guest}[sys.argv[1]](sys.argv[2])
    else:
        for line in streams():
            print(f"{line.what}: {line.amount:.6f} s, ratio {line.ratio:.2f}")
