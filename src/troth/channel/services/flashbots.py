"""Flashbots' attested TLS: evidence over the session itself, sent right after the handshake.

TLS 1.3 with the protocol `flashbots-ratls/1`. The server sends one message, then the client does: length
(u32, big-endian), then a SCALE structure of the kind of attestation and its bytes. The 64 bytes that are
bound are SHA-256 of that side's SubjectPublicKeyInfo and 32 bytes of the TLS exporter under the label
`EXPORTER-Channel-Binding`, without context.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from troth.channel.services._service import UNSIGNED, Found, Service
from troth.channel.session import Session
from troth.channel.web import Web
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.composite import Composite, Part
from troth.wire import scale
from troth.wire.reader import Reader

NAME: Final = "flashbots"
ALPN: Final = b"flashbots-ratls/1"
LABEL: Final = b"EXPORTER-Channel-Binding"
NOTHING: Final = "none"
MAX: Final = 1024 * 1024
# Kinds whose attestation is a TDX quote as it stands.
QUOTES: Final = frozenset({"dcap-tdx", "qemu-tdx", "gcp-tdx"})
_FIELD: Final = "attestation message"
_NOT_BOUND: Final = (
    "no nonce: that the exporter is of this very session is what makes the evidence fresh",
    "a kind whose attestation is none, or is not a quote, is refused and not taken for any",
    "the bytes of the session after the message are the application's; where they end is its affair",
    UNSIGNED,
)


def user_data(key: bytes, exporter: bytes) -> bytes:
    """The 64 bytes for the side whose SubjectPublicKeyInfo (DER) this is."""
    return hashlib.sha256(key).digest() + exporter


def encode(kind: str, attestation: bytes) -> bytes:
    """One message."""
    body = scale.with_size(kind.encode("utf-8")) + scale.with_size(attestation)
    return len(body).to_bytes(4, "big") + body


def read(take: Callable[[int], bytes]) -> tuple[str, bytes]:
    """The kind and the bytes of the next message.

    Args:
        take: gives exactly so many bytes of the stream.

    Raises:
        Malformed: longer than `MAX`, or not that structure.
    """
    size = int.from_bytes(take(4), "big")
    if size > MAX:
        raise Malformed(f"says that it has {size} bytes, more than {MAX}", field=_FIELD, offset=0)
    reader = Reader(take(size), base=4)
    kind = scale.text(reader, "attestation_type")
    attestation = scale.sized(reader, "attestation")
    reader.end(_FIELD)
    return kind, attestation


def attested(session: Session) -> Found:
    """What the server of a session sends of itself, for this very session; we attest nothing.

    Raises:
        Malformed: not a message of this protocol.
        Unavailable: it attests nothing, or by a kind of evidence that is not read.
    """
    message = first(session)
    return found(message, key=session.peer_key(), exporter=session.exporter(None, label=LABEL))


def first(session: Session) -> bytes:
    """The server's message, answered by one that attests nothing."""
    message = encode(*read(session.take))
    session.write(encode(NOTHING, b""))
    return message


def found(message: bytes, *, key: bytes, exporter: bytes) -> Found:
    """What a server's message presents.

    Args:
        message: as `encode` writes it.
        key: SubjectPublicKeyInfo (DER) of its leaf.
        exporter: 32 bytes of the session.

    Raises:
        Malformed, Unavailable: as `attested`.
    """
    reader = Reader(message)
    kind, attestation = read(lambda size: reader.take(size, _FIELD))
    if kind not in QUOTES:
        raise Unavailable(
            f"the service speaks {ALPN.decode()} and attests by {kind[:40]!r}, which is not read here",
            fix=f"use a service that attests by one of {', '.join(sorted(QUOTES))}",
        )
    part = Part(
        name="cpu",
        evidence=attestation,
        says="REPORTDATA is the TLS key's hash and this session's exporter",
        user_data=user_data(key, exporter),
        over_nonce=True,
    )
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing=f"Flashbots' attested TLS, {kind}"),
        binding=Binding.SESSION,
        keys={"tls": key},
        not_bound=_NOT_BOUND,
        raw={"message": message},
    )


def ask(web: Web, nonce: bytes) -> Found | None:  # noqa: ARG001 - the exporter stands for it
    """Opens a session of its own and looks at what the server sends; nothing else goes over it."""
    if not web.secure:
        return None
    shown = web.greet(alpn=(ALPN,), label=LABEL, first=first)
    if shown is None or shown.protocol != ALPN:
        return None
    return found(shown.said, key=shown.key, exporter=shown.exporter)


SERVICE: Final = Service(name=NAME, title="Flashbots' attested TLS", ask=ask, not_bound=_NOT_BOUND)
