"""A local door to an enclave: programs speak plain HTTP to it, and each connection is verified anew.

Two kinds. A unix socket of mode 0600, which only this user's programs reach: bytes go through as they
are. A port on 127.0.0.1, which any web page in any local browser reaches, too: there each connection
carries one request, and one that another site's page caused is refused (by Host, against names that
were rebound to 127.0.0.1; by Origin and Sec-Fetch-Site, against pages of other sites).

Does not keep out other users of the machine from the port; use the unix socket where there are any.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from troth.channel.client import AttestedStream
from troth.channel.guard import MAX_HEAD, Refusal, check
from troth.channel.relay import relay, reset, wake
from troth.errors import TrothError, Unavailable

_CHUNK: Final = 64 * 1024
_POLL: Final = 0.2  # seconds; how soon a proxy notices that it was told to stop
_IDLE: Final = 300.0
_AT_ONCE: Final = 64

Open = Callable[[], AttestedStream]
"""Makes a new, verified stream; raises one of our errors where the verdict is not acceptance."""


class Proxy:
    """Serves until closed. Use as a context manager, and `serve` in it.

    Args:
        listener: from `listen_unix` or `listen_local`.
        opened: makes the verified stream of one connection.
        tell: takes one line for each connection that failed.
    """

    def __init__(
        self, listener: socket.socket, opened: Open, *, tell: Callable[[str], None]
    ) -> None:
        self._listener = listener
        self._open = opened
        self._tell = tell
        self._stop = threading.Event()
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        self._guarded = listener.family != socket.AF_UNIX
        self._path = "" if self._guarded else listener.getsockname()

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`, or `unix:PATH`."""
        if not self._guarded:
            return f"unix:{self._path}"
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def serve(self) -> None:
        """Takes connections, a thread each, until `close` is called."""
        self._listener.settimeout(_POLL)
        while not self._stop.is_set():
            try:
                plain, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:  # closed under us: the same as being told to stop
                return
            if not self._room.acquire(blocking=False):
                plain.close()
                continue
            threading.Thread(target=self._one, args=(plain,), daemon=True).start()

    def close(self) -> None:
        """Takes no more connections; a unix socket's file goes."""
        self._stop.set()
        self._listener.close()
        if self._path:
            Path(self._path).unlink(missing_ok=True)

    def _one(self, plain: socket.socket) -> None:
        try:
            plain.settimeout(_IDLE)
            if self._guarded:
                self._one_request(plain)
            else:
                relay(self._open(), plain)
        except Refusal as refusal:
            self._say(plain, refusal.status, refusal.reason)
        except TrothError as error:
            self._say(plain, "502 Bad Gateway", str(error))
        except OSError:  # the local peer went away, which is its right
            pass
        finally:
            plain.close()
            self._room.release()

    def _one_request(self, plain: socket.socket) -> None:
        request = check(_head(plain), port=self._listener.getsockname()[1])
        stream = self._open()
        try:
            stream.write(request.head + request.body_start)
            missing = request.body_size - len(request.body_start)
            body = threading.Thread(target=_body, args=(plain, stream, missing), daemon=True)
            body.start()
            try:
                while data := stream.read(_CHUNK):
                    plain.sendall(data)
            finally:
                wake(plain)
                body.join()
        except TrothError as error:
            # An answer may have begun; a cut is then the only honest end of it.
            self._tell(str(error))
            reset(plain)
        finally:
            stream.close()

    def _say(self, plain: socket.socket, status: str, words: str) -> None:
        self._tell(words)
        body = f"troth: {words}\n".encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            plain.sendall(head.encode("ascii") + body)
            plain.shutdown(socket.SHUT_WR)
            # Unread bytes at a close would reset the connection before the words have arrived.
            plain.settimeout(1.0)
            while plain.recv(_CHUNK):
                pass


def listen_unix(path: str) -> socket.socket:
    """A listening unix socket that only this user reaches.

    Raises:
        Unavailable: something is there already, or the folder cannot be written.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # the socket is 0600 from its first moment
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen at {path}: {error.strerror}", fix="name a path that does not exist yet"
        ) from error
    finally:
        os.umask(before)
    listener.listen(_AT_ONCE)
    return listener


def listen_local(port: int = 0) -> socket.socket:
    """A listening port on 127.0.0.1; 0 takes a free one.

    Raises:
        Unavailable: the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen at 127.0.0.1:{port}: {error.strerror}", fix="use 127.0.0.1:0"
        ) from error
    listener.listen(_AT_ONCE)
    return listener


def _head(plain: socket.socket) -> bytes:
    """Bytes up to the end of the first request's head, and what came with them."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > MAX_HEAD:
            raise Refusal("431 Request Header Fields Too Large", "the request's head is too long")
        part = plain.recv(_CHUNK)
        if not part:
            raise Refusal("400 Bad Request", "the request ended in its head")
        data += part
    return data


def _body(plain: socket.socket, stream: AttestedStream, missing: int) -> None:
    """Sends the rest of the one request's body; whatever follows it is never sent."""
    try:
        while missing > 0:
            part = plain.recv(min(missing, _CHUNK))
            if not part:
                stream.close()
                return
            stream.write(part)
            missing -= len(part)
        plain.recv(
            1
        )  # the peer has gone, or wants a second request, which needs its own connection
    except (OSError, TrothError):
        stream.close()
