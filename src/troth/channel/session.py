"""A TLS 1.3 session over any connected socket, with its exporter: what evidence is bound to.

OpenSSL works on memory here and this module moves the bytes, so that one deadline covers a whole
handshake, two threads may read and write at once, and a connection that was cut never looks like one
that was ended (TLS close_notify, RFC 8446 section 6.1).

Does not verify certificates: they are self-signed, and it is the evidence that says whose key it is.
OpenSSL does check that the other side holds the key of the certificate it shows.
"""

import contextlib
import select
import socket
import threading
import time
from types import TracebackType
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto

from troth.errors import Malformed, Unavailable

ALPN: Final = b"troth/1"
LABEL: Final = b"EXPORTER-troth-channel-1"
EXPORTER_SIZE: Final = 32
_CHUNK: Final = 16 * 1024  # a TLS record's worth
_RAW: Final = 64 * 1024
_PARTING: Final = 1.0  # seconds that saying goodbye may take


def context() -> SSL.Context:
    """What both ends share: TLS 1.3 alone, no tickets, no cache, no renegotiation, no early data."""
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(SSL.TLS1_3_VERSION)
    made.set_max_proto_version(SSL.TLS1_3_VERSION)
    made.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return made


class Session:
    """One TLS session. Made by `troth.channel.client` and `troth.channel.server`.

    One thread may read while another writes.

    Args:
        sock: connected; belongs to the session from here on.
        connection: OpenSSL's side of it, on memory, client or server state set.
        idle: seconds without a byte after which the other side counts as gone.
    """

    def __init__(self, sock: socket.socket, connection: SSL.Connection, *, idle: float) -> None:
        self._socket = sock
        self._tls = connection
        self._idle = idle
        self._deadline: float | None = None
        self._state = threading.Lock()  # around OpenSSL
        self._order = threading.Lock()  # records leave in the order in which they were made
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def handshake(self, *, seconds: float, alpn: bytes | None = ALPN) -> None:
        """Shakes hands and agrees on the protocol; `seconds` also covers what follows, until `begin`.

        Args:
            seconds: for the handshake and what follows it.
            alpn: the protocol that must have been agreed on; None where the caller looks itself.

        Raises:
            Unavailable: the other side speaks something else, or is too slow, or went away.
        """
        self._deadline = time.monotonic() + seconds
        while True:
            try:
                with self._state:
                    self._tls.do_handshake()
                break
            except SSL.WantReadError:
                self._flush()
                self._fill()
            except SSL.Error as error:
                with contextlib.suppress(Unavailable):  # the alert that tells the other side why
                    self._flush()
                raise Unavailable(
                    f"the TLS handshake failed: {_words(error)}",
                    fix="check that the address is an attested channel of troth (TLS 1.3, troth/1)",
                ) from error
        self._flush()
        if alpn is not None and self.protocol != alpn:
            raise Unavailable(
                f"the other side does not speak {alpn.decode()}",
                fix="check that the address is an attested channel of troth",
            )

    @property
    def protocol(self) -> bytes:
        """What ALPN agreed on; empty where the other side did not."""
        return self._tls.get_alpn_proto_negotiated()

    def limit(self, seconds: float) -> None:
        """Sets the deadline anew: all that is read and written from now on must be done by then."""
        self._deadline = time.monotonic() + seconds

    def begin(self, *, idle: float | None = None) -> None:
        """Lifts the deadline of the handshake: the application's bytes follow.

        Args:
            idle: seconds without a byte from now on, where they are to be others.
        """
        self._deadline = None
        self._idle = self._idle if idle is None else idle
        self._socket.settimeout(self._idle)

    def exporter(self, nonce: bytes | None, *, label: bytes = LABEL) -> bytes:
        """32 bytes that only the two ends of this very session can know (RFC 8446 section 7.5).

        Args:
            nonce: the context; None where another's protocol has none, which is not an empty one in
                TLS 1.2 and is the same in 1.3.
            label: another protocol's, if not ours.
        """
        return self._tls.export_keying_material(label, EXPORTER_SIZE, nonce)

    def peer_certificate(self) -> bytes:
        """The other side's certificate (DER) as it was sent.

        Raises:
            Malformed: there is none.
        """
        certificate = self._tls.get_peer_certificate()
        if certificate is None:
            raise Malformed("is absent", field="TLS certificate")
        return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)

    def peer_key(self) -> bytes:
        """The SubjectPublicKeyInfo (DER) of the other side's certificate.

        Raises:
            Malformed: there is none, or its key cannot be read.
        """
        try:
            certificate = self._tls.get_peer_certificate(as_cryptography=True)
            if not isinstance(certificate, x509.Certificate):
                raise Malformed("is absent", field="TLS certificate")
            return certificate.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise Malformed(f"cannot be read: {error}", field="TLS certificate") from error

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty once the other side has ended the session properly.

        Raises:
            Unavailable: the connection was cut, or nothing came for too long.
        """
        while not self._ended:
            try:
                with self._state:
                    return self._tls.recv(size)
            except SSL.WantReadError:
                self._flush(wait=False)
                self._fill()
            except SSL.ZeroReturnError:
                self._ended = True
            except SSL.Error as error:
                raise Unavailable(f"the TLS session broke: {_words(error)}") from error
        return b""

    def is_quiet(self) -> bool:
        """Whether nothing has come that is not read: what comes unasked is the other side's goodbye."""
        try:
            return not select.select([self._socket], [], [], 0)[0] and not self._tls.pending()
        except (OSError, ValueError):  # it is closed
            return False

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes.

        Raises:
            Unavailable: the session ended before.
        """
        parts = bytearray()
        while len(parts) < size:
            part = self.read(size - len(parts))
            if not part:
                raise Unavailable("the other side ended the session before it had answered")
            parts += part
        return bytes(parts)

    def write(self, data: bytes) -> None:
        """Sends all of it.

        Raises:
            Unavailable: the connection was cut, or the other side takes nothing for too long.
        """
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK):
            with self._order:
                try:
                    with self._state:
                        self._tls.sendall(bytes(view[start : start + _CHUNK]))
                        records = self._made()
                except SSL.Error as error:
                    raise Unavailable(f"the TLS session broke: {_words(error)}") from error
                self._send(records)

    def end(self) -> None:
        """Says that nothing more will be written; reading goes on."""
        with self._order:
            with self._state, contextlib.suppress(SSL.Error):
                self._tls.shutdown()
            self._flush_ordered()

    def close(self) -> None:
        """Ends the session and the connection. May be called twice, and from a third thread."""
        # A writer that is stuck holds the order; then the other side learns of the end by the socket's.
        if self._order.acquire(timeout=_PARTING):
            try:
                self._deadline = time.monotonic() + _PARTING
                with self._state, contextlib.suppress(SSL.Error):
                    self._tls.shutdown()
                with contextlib.suppress(Unavailable):
                    self._flush_ordered()
            finally:
                self._order.release()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _flush(self, *, wait: bool = True) -> None:
        """Sends what OpenSSL made by itself: the handshake, an alert, the answer to a key update.

        A reader must not wait for a writer: with both ends writing more than the network holds, each
        would wait for the other. What it leaves goes out before the next thing written.
        """
        if self._order.acquire(blocking=wait):
            try:
                self._flush_ordered()
            finally:
                self._order.release()

    def _flush_ordered(self) -> None:
        with self._state:
            records = self._made()
        if records:
            self._send(records)

    def _made(self) -> bytes:
        parts = []
        with contextlib.suppress(SSL.WantReadError):  # OpenSSL's word for «nothing more»
            while True:
                parts.append(self._tls.bio_read(_RAW))
        return b"".join(parts)

    def _send(self, records: bytes) -> None:
        try:
            self._pace()
            self._socket.sendall(records)
        except OSError as error:
            raise self._lost(error) from error

    def _fill(self) -> None:
        try:
            self._pace()
            raw = self._socket.recv(_RAW)
        except OSError as error:
            raise self._lost(error) from error
        with self._state:
            if raw:
                self._tls.bio_write(raw)
            else:
                self._tls.bio_shutdown()

    def _pace(self) -> None:
        """Before the verdict a deadline binds, so that no drip of bytes can stretch the handshake."""
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)

    def _lost(self, error: OSError) -> Unavailable:
        if isinstance(error, TimeoutError) and self._deadline is not None:
            return Unavailable("the other side took too long to attest itself, or to ask for it")
        return Unavailable(f"the connection was lost: {error}")


def _words(error: SSL.Error) -> str:
    """OpenSSL's reasons: a list of (library, function, reason), or an errno and its name."""
    if error.args and isinstance(error.args[0], list):
        return "; ".join(str(entry[-1]) for entry in error.args[0]) or "no reason given"
    return str(error.args[-1]) if error.args else "no reason given"
