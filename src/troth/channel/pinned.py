"""Connections to one host under one TLS key: whatever the key's holder, no byte goes to another.

Does not verify whose key it is: evidence says so, or an authority where evidence names none.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from troth.channel import dial
from troth.channel.http import MAX_BODY, Answer, Http
from troth.channel.session import Session
from troth.channel.web import open_tls
from troth.errors import Misuse, Unavailable

_KEPT: Final = 4  # idle connections
_IDLE: Final = 15.0  # seconds for which one is kept
_HANDSHAKE: Final = 15.0


class AnotherKey(Unavailable):
    """The host has another TLS key than the pinned one; nothing was sent."""


class Link:
    """One connection: requests one after the other.

    Attributes:
        session: TLS.
        since: when it was last given back, by the monotonic clock.
        ending: whether the server has said that it takes no more requests here.
    """

    def __init__(self, session: Session, authority: str) -> None:
        self.session: Final = session
        self._http: Final = Http(session, authority)
        self.since = time.monotonic()
        self.ending = False

    def open(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_BODY,
    ) -> Answer:
        """One request, and its answer as it comes; raises as `troth.channel.http.Http.open`."""
        answer = self._http.open(method, path, body, headers or {}, limit)
        self.ending = any(
            name.lower() == "connection" and "close" in value.lower()
            for name, value in answer.headers
        )
        return answer

    def close(self) -> None:
        """Ends it."""
        self.session.close()


class Pinned:
    """A host, and the one TLS key that is talked to there.

    Args:
        url: its origin.
        key: SubjectPublicKeyInfo (DER).
        idle: seconds without a byte after which an answer counts as lost.
        dialler: connects in place of TCP.
    """

    def __init__(
        self,
        url: str,
        *,
        key: bytes,
        idle: float,
        dialler: Callable[[], socket.socket] | None = None,
    ) -> None:
        self._target = dial.parse(url)
        self._dialler = dialler or self._target.dialler()
        self._idle = idle
        self._links: list[Link] = []
        self._lock = threading.Lock()
        self.key: Final = key

    def take(self) -> Link:
        """A connection that nobody else has; the caller gives it back, or closes it.

        Raises:
            AnotherKey: whoever is there has another key.
            Unavailable: nobody there.
        """
        while True:
            with self._lock:
                link = self._links.pop() if self._links else None
            if link is None:
                return self._new()
            if time.monotonic() - link.since < _IDLE and link.session.is_quiet():
                return link
            link.close()

    def give(self, link: Link) -> None:
        """Gives back a connection whose last answer was read to its end."""
        link.since = time.monotonic()
        with self._lock:
            if len(self._links) < _KEPT and not link.ending:
                self._links.append(link)
                return
        link.close()

    def close(self) -> None:
        """Ends the idle ones."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.close()

    def _new(self) -> Link:
        host = self._target.host
        sni = None if _is_address(host) else host
        session = open_tls(self._dialler, name=self._target.authority, sni=sni, seconds=_HANDSHAKE)
        try:
            self._same(session.peer_key())
            session.begin(idle=self._idle)
        except BaseException:
            session.close()
            raise

        return Link(session, self._target.authority)

    def _same(self, key: bytes) -> None:
        if key != self.key:
            raise AnotherKey(
                f"{self._target.authority} has another TLS key than the one that was verified",
                fix="verify it again; behind a load balancer ask one instance",
            )


def vouched(url: str, *, authorities: ssl.SSLContext | None, seconds: float) -> bytes:
    """The TLS key of a host for whose name an authority vouches: SubjectPublicKeyInfo (DER).

    Args:
        url: its origin.
        authorities: which count; this machine's if not given.
        seconds: for all of it.

    Raises:
        Unavailable: nobody there, or no authority vouches for its certificate.
        Misuse: `authorities` checks neither chain nor name.
    """
    context = ssl.create_default_context() if authorities is None else authorities
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise Misuse("authorities that check neither chain nor name vouch for nothing")
    target = dial.parse(url)
    try:
        with (
            target.dialler(seconds=seconds)() as sock,
            context.wrap_socket(sock, server_hostname=target.host) as session,
        ):
            certificate = session.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise Unavailable(
            f"no authority vouches for {target.authority}: {error}",
            fix="the evidence names no TLS key, so an authority has to: check the address",
        ) from error
    return (
        x509.load_der_x509_certificate(certificate)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
