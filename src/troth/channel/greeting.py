"""What a server shows in a TLS session that is opened for that alone, and how transcripts keep it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from troth.channel.session import Session
from troth.errors import Malformed
from troth.wire import cbor

METHOD: Final = "TLS"  # under which transcripts keep it, among questions over HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How such a session is opened.

    Attributes:
        alpn: protocols to offer.
        sni: the server's name in the handshake, where it is not the host's.
        label: of the exporter that is wanted.
        first: reads what the server sends by itself, where it took the first protocol offered.
    """

    alpn: tuple[bytes, ...]
    sni: str | None = None
    label: bytes | None = None
    first: Callable[[Session], bytes] | None = None

    @property
    def path(self) -> str:
        """Names the question in a transcript."""
        offered = b" ".join(self.alpn).decode("ascii")
        return f"{offered} {self.sni or ''} {(self.label or b'').decode('ascii')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What was shown.

    Attributes:
        protocol: what ALPN agreed on; empty where the server did not.
        certificate: its leaf, DER.
        key: the leaf's SubjectPublicKeyInfo, DER.
        exporter: 32 bytes under the label that was asked for, empty where none was.
        said: what it sent before anything was asked, as far as that was read.
    """

    protocol: bytes
    certificate: bytes
    key: bytes
    exporter: bytes
    said: bytes


def seen(session: Session, asked: Asked) -> bytes:
    """What this session shows, as transcripts keep it."""
    read = asked.first if session.protocol == asked.alpn[0] else None
    return cbor.encode(
        [
            session.protocol,
            session.peer_certificate(),
            session.peer_key(),
            session.exporter(None, label=asked.label) if asked.label else b"",
            read(session) if read is not None else b"",
        ]
    )


def parse(data: bytes) -> Greeting | None:
    """What was shown; None where the server refused, which is kept as nothing.

    Raises:
        Malformed: it is no greeting.
    """
    if not data:
        return None
    parts = cbor.decode(data, field="greeting")
    if not isinstance(parts, list) or [type(part) for part in parts] != [bytes] * 5:
        raise Malformed("is none", field="greeting")
    protocol, certificate, key, exporter, said = parts
    return Greeting(
        protocol=protocol, certificate=certificate, key=key, exporter=exporter, said=said
    )
