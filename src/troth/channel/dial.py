"""Where the other end is: a URL to a dialler. Resolving a name or an address decides nothing."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from troth.errors import Misuse

CONNECT_SECONDS: Final = 10.0
_SEVERAL: Final = 3  # times the seconds of one address are for all that a name has
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An attested channel's address.

    Attributes:
        host, port: what is dialled.
        path: what a request asks for, query included; `/` where the URL names none.
    """

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """`host:port`, as HTTP's Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def dialler(self, *, seconds: float = CONNECT_SECONDS) -> Callable[[], socket.socket]:
        """Connects by TCP, each time anew."""

        def dial() -> socket.socket:
            sock = _connected(self.host, self.port, seconds)
            # A question and its answer are small and wait for each other.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock

        return dial


def parse(url: str, *, scheme: str = "https") -> Target:
    """Reads `https://host[:port][/path][?query]`.

    Args:
        url: the address.
        scheme: `http` for the few protocols whose evidence travels in the clear.

    Raises:
        Misuse: another scheme, a user or a fragment in it, no host, or characters that do not belong.
    """
    fix = "give an address such as https://127.0.0.1:8443/path"
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Misuse(f"{url!r} has characters that an address cannot have", fix=fix)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Misuse(f"{url!r} is no address: {error}", fix=fix) from None
    if parts.scheme != scheme or not host:
        raise Misuse(f"{url!r} is not an {scheme} address", fix=fix)
    if "@" in parts.netloc or parts.fragment:
        raise Misuse(f"{url!r} has a user or a fragment, which mean nothing here", fix=fix)
    query = f"?{parts.query}" if parts.query else ""
    return Target(
        host=host, port=_PORTS[scheme] if port is None else port, path=(parts.path or "/") + query
    )


def _connected(host: str, port: int, seconds: float) -> socket.socket:
    """As the library's `create_connection`, which has the whole time anew for each address of a name."""
    until = time.monotonic() + _SEVERAL * seconds
    failed: OSError = TimeoutError("timed out")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"no such name can be: {error}") from None
    for family, kind, protocol, _, address in found:
        left = until - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(seconds, left))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed
