"""nitriding on 127.0.0.1: `/enclave/attestation?nonce=`, over TLS with a certificate of the enclave's own."""

import base64
from datetime import datetime
from typing import Final

from troth.channel.services import nitriding
from troth.channel.services.simulate._loopback import (
    NOT_FOUND,
    Identity,
    Loopback,
    Reply,
    Request,
    identity,
)
from troth.channel.services.simulate._nitro import Enclave

_BAD: Final = Reply(status=400, body=b"unexpected nonce")


def serve(
    enclave: Enclave,
    now: datetime,
    *,
    application: bytes = bytes(32),
    shown: Identity | None = None,
    attested: bytes | None = None,
) -> Loopback:
    """The server.

    Args:
        enclave: whose documents.
        now: the present instant.
        application: what the application said its hash is.
        shown: the TLS certificate, where it is to be another than one made here.
        attested: the certificate (DER) that documents name, where it is another than the one shown.
    """
    shown = identity(now) if shown is None else shown
    bound = nitriding.user_data(shown.der if attested is None else attested, application)

    def answer(request: Request) -> Reply:
        if request.path != nitriding.PATH:
            return NOT_FOUND
        text = request.query.get("nonce", "")
        if len(text) != 2 * nitriding.NONCE:
            return _BAD
        document = enclave.document(user_data=bound, nonce=bytes.fromhex(text))
        return Reply(body=base64.b64encode(document))

    return Loopback(answer, identity=shown)
