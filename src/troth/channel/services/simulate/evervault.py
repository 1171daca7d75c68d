"""Evervault on 127.0.0.1: a document among the certificate's names, made anew for a nonce in the handshake."""

import base64
import json
import re
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from troth.channel.services.evervault import PATH
from troth.channel.services.simulate._loopback import (
    NOT_FOUND,
    Identity,
    Loopback,
    Reply,
    identity,
    new_key,
    spki_of,
)
from troth.channel.services.simulate._nitro import Enclave

HOST: Final = "localhost"
_NONCE: Final = re.compile(rb"([A-Za-z0-9_-]{4,63})\.attest\." + HOST.encode())


def shown(
    enclave: Enclave,
    now: datetime,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    nonce: bytes | None = None,
    quoted: bytes | None = None,
    document: bytes | None = None,
) -> Identity:
    """A certificate with a document over its key among its names.

    Args:
        enclave: whose document.
        now: the present instant.
        key: the TLS key; made if not given.
        nonce: what the document carries.
        quoted: the key (SubjectPublicKeyInfo) that it names, where it is another.
        document: the document itself, where it is another.
    """
    made = new_key() if key is None else key
    spki = spki_of(made) if quoted is None else quoted
    document = enclave.document(user_data=spki, nonce=nonce) if document is None else document
    names = (HOST, f"{document.hex()}.{HOST}")
    return identity(now, key=made, names=names)


def serve(
    enclave: Enclave,
    now: datetime,
    *,
    fresh: bool = True,
    in_names: bool = True,
    old_nonce: bytes | None = None,
    quoted: bytes | None = None,
) -> Loopback:
    """The server.

    Args:
        enclave: whose documents.
        now: the present instant.
        fresh: whether it makes certificates for nonces.
        in_names: whether certificates hold documents at all; if not, the kept one is all there is.
        old_nonce: what it puts into those in place of the one it was asked for.
        quoted: the key that its documents name, where it is another than the one it shows.
    """
    key = new_key()
    named = spki_of(key) if quoted is None else quoted
    kept = enclave.document(user_data=named)
    plain = shown(enclave, now, key=key, document=kept) if in_names else identity(now, key=key)
    body = json.dumps({"attestation_doc": base64.b64encode(kept).decode()}).encode()

    def choose(hello: bytes) -> Identity:
        asked = _NONCE.search(hello)
        if asked is None or not (fresh and in_names):
            return plain
        text = asked[1].decode()
        nonce = old_nonce or base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return shown(enclave, now, key=key, nonce=nonce, quoted=quoted)

    return Loopback(
        lambda request: Reply(body=body) if request.path == PATH else NOT_FOUND, identity=choose
    )
