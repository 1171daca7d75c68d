"""Connections whose answer must be whole in some time, however steadily it drips.

A timeout of a socket begins anew with each byte. A server that sends one now and then, or a hundred times that an
answer is to come, would be waited for without an end.
"""

import http.client
import io
import socket
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from ssl import SSLContext
from typing import Any


class Http(urllib.request.HTTPHandler):
    """Asks over http.

    Args:
        whole: seconds for head and body together.
    """

    def __init__(self, whole: float) -> None:
        super().__init__()
        self._connection = _timed(http.client.HTTPConnection, whole)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """One answer."""
        return self.do_open(self._connection, req)


class Https(urllib.request.HTTPSHandler):
    """Asks over https.

    Args:
        context: says whose certificates count.
        whole: seconds for head and body together.
    """

    def __init__(self, context: SSLContext, whole: float) -> None:
        super().__init__(context=context)
        self._connection = _timed(http.client.HTTPSConnection, whole)
        self._ours = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """One answer."""
        return self.do_open(self._connection, req, context=self._ours)


def _timed(kind: Callable[..., Any], whole: float) -> Callable[..., Any]:
    """Makes connections of this kind."""

    def made(host: str, **given: Any) -> Any:
        connection = kind(host, **given)
        connection.response_class = partial(_Answer, whole=whole)
        return connection

    return made


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *given: Any, whole: float, **named: Any) -> None:
        super().__init__(sock, *given, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Until(sock, whole))


class _Until(io.RawIOBase):
    """What a socket receives up to an instant."""

    def __init__(self, sock: socket.socket, whole: float) -> None:
        self._sock = sock
        self._each = sock.gettimeout()
        self._bytes = sock.makefile("rb", buffering=0)
        self._end = time.monotonic() + whole

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left > 0:
            self._sock.settimeout(left if self._each is None else min(left, self._each))
            try:
                return self._bytes.readinto(buffer)
            except TimeoutError:
                if time.monotonic() < self._end:
                    raise
        raise TimeoutError("not whole in the time that it has")

    def close(self) -> None:
        if not self.closed:
            self._bytes.close()
        super().close()
