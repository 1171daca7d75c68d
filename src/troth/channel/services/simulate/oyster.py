"""Oyster's attestation server on 127.0.0.1: `/attestation/raw` and `/attestation/hex`, over plain http."""

from troth.channel.services.oyster import HEX, RAW
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, Reply, Request
from troth.channel.services.simulate._nitro import Enclave


def serve(enclave: Enclave, public_key: bytes, *, raw: bool = True) -> Loopback:
    """The server of one of the ports.

    Args:
        enclave: whose documents.
        public_key: 32 bytes as on port 1300, or 64 as on 1301.
        raw: whether the document's bytes can be had, and not only its text.
    """

    def answer(request: Request) -> Reply:
        document = enclave.document(public_key=public_key)
        if request.path == RAW and raw:
            return Reply(body=document, headers={"Content-Type": "application/octet-stream"})
        return Reply(body=document.hex().encode()) if request.path == HEX else NOT_FOUND

    return Loopback(answer)
