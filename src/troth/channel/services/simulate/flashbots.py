"""Flashbots' attested TLS on 127.0.0.1: the server's message right after the handshake, then the client's."""

import contextlib
from collections.abc import Callable
from datetime import datetime

from troth.channel.services import flashbots
from troth.channel.services.simulate._loopback import (
    NOT_FOUND,
    Identity,
    Loopback,
    identity,
)
from troth.channel.session import Session
from troth.errors import TrothError

Quote = Callable[[bytes], bytes]


def serve(
    quote: Quote,
    now: datetime,
    *,
    kind: str = "dcap-tdx",
    message: bytes | None = None,
    data: bytes | None = None,
    shown: Identity | None = None,
    cut: int | None = None,
) -> Loopback:
    """The server.

    Args:
        quote: makes evidence over 64 bytes.
        now: the present instant.
        kind: of attestation, as it calls it.
        message: what it sends, where it is to be something else.
        data: the 64 bytes, where they are to be others than the session's.
        shown: its TLS certificate, made if not given; without the protocol it is another server.
        cut: after how many bytes of the message it goes away.
    """
    shown = identity(now, protocols=(flashbots.ALPN,)) if shown is None else shown

    def opening(session: Session) -> bool:
        if session.protocol != flashbots.ALPN:
            return True
        exporter = session.exporter(None, label=flashbots.LABEL)
        bound = flashbots.user_data(shown.spki, exporter) if data is None else data
        said = flashbots.encode(kind, quote(bound)) if message is None else message
        session.write(said if cut is None else said[:cut])
        if cut is None:
            with contextlib.suppress(TrothError):
                flashbots.read(session.take)
        return False

    return Loopback(lambda _: NOT_FOUND, identity=shown, opening=opening)
