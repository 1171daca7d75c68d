"""The small server, on a thread of this process and a free port."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from troth.cli import _httpd
from troth.errors import TrothError


@contextmanager
def serving(
    handler: _httpd.Handler, *, most_body: int = 0, complaints: list[TrothError] | None = None
) -> Iterator[str]:
    """Gives `127.0.0.1:PORT`."""
    told: list[str] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    def begun(at: str) -> None:
        told.append(at)
        ready.set()

    complained = [] if complaints is None else complaints
    server = _httpd._Server(handler, most_body, complained.append)
    task = loop.create_task(_httpd._serve(("127.0.0.1", 0), server, begun))

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            server.end()
            loop.run_until_complete(asyncio.sleep(0.05))
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    try:
        yield told[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(20)
        assert not thread.is_alive()


def connect(at: str) -> socket.socket:
    host, port = at.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def exchange(at: str, data: bytes, *, end: bool = True) -> bytes:
    """What is answered to raw bytes, until the server ends the connection."""
    with connect(at) as sock:
        with contextlib.suppress(OSError):  # it may have been left already
            sock.sendall(data)
            if end:
                sock.shutdown(socket.SHUT_WR)
        return drain(sock)


def drain(sock: socket.socket) -> bytes:
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)
