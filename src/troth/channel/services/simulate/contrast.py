"""Contrast's attested TLS on 127.0.0.1: a certificate made for the nonce among the protocols offered."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from troth.channel.services import contrast
from troth.channel.services.simulate._loopback import (
    NOT_FOUND,
    Identity,
    Loopback,
    identity,
    new_key,
    spki_of,
)

_OFFERED: Final = re.compile(rb"atls:v1:nonce:([0-9a-f]{64})")
SNP: Final = "1.3.9901.2.1"
TDX: Final = "1.3.9901.2.2"
Quote = Callable[[bytes], bytes]


def serve(
    quote: Quote,
    now: datetime,
    *,
    oid: str = TDX,
    old_nonce: bytes | None = None,
    quoted: bytes | None = None,
) -> Loopback:
    """The server.

    Args:
        quote: makes evidence over 64 bytes.
        now: the present instant.
        oid: of the extension, which says what evidence it is.
        old_nonce: what it hashes in place of the nonce it was asked with.
        quoted: the key that it hashes, where it is another than the one it shows.
    """
    plain = identity(now)

    def choose(hello: bytes) -> Identity:
        asked = _OFFERED.search(hello)
        if asked is None:
            return plain
        key = new_key()
        nonce = bytes.fromhex(asked[1].decode()) if old_nonce is None else old_nonce
        bound = contrast.user_data(spki_of(key) if quoted is None else quoted, nonce)
        return identity(now, key=key, extensions=[(oid, quote(bound))], protocols=(b"h2",))

    return Loopback(lambda _: NOT_FOUND, identity=choose)
