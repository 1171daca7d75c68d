"""nitriding: a Nitro document that answers a nonce and names the TLS certificate.

`GET /enclave/attestation?nonce=<40 hex digits>` gives a document in base64. Its user data is two
multihashes (0x12 0x20, SHA-256), 68 bytes: of the certificate, and of what the application said its own
hash was, or zeros.
"""

import hashlib
from typing import Final

from troth.channel.services._service import UNSIGNED, Found, Service
from troth.channel.web import Redirected, Web
from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.claims import Source
from troth.model.composite import Composite, Part
from troth.model.statement import Statement, Status
from troth.platforms.nitro import format as documents
from troth.wire.text import from_base64

NAME: Final = "nitriding"
PATH: Final = "/enclave/attestation"
NONCE: Final = 20
USER_DATA: Final = 68
_SHA256: Final = b"\x12\x20"
_HALF: Final = USER_DATA // 2
_NOT_BOUND: Final = (
    "the document names the certificate and no session: whoever gets hold of its key can stand in",
    f"only the first {NONCE} bytes of your nonce are asked with",
    "the second hash is what the application said of itself; it shows nothing that PCR0 to PCR2 do not",
    UNSIGNED,
)


def user_data(certificate: bytes, application: bytes) -> bytes:
    """The 68 bytes: both hashes with their multihash prefix.

    Args:
        certificate: the TLS leaf, DER.
        application: 32 bytes that the application set, zeros where it set none.
    """
    return _SHA256 + hashlib.sha256(certificate).digest() + _SHA256 + application


def ask(web: Web, nonce: bytes) -> Found | None:
    """See the module."""
    if not web.secure:
        return None
    short = nonce[:NONCE]
    try:
        answer = web.get(PATH, query={"nonce": short.hex()}, limit=4 * documents.MAX_DOCUMENT)
    except Redirected:
        return None
    if answer.status != 200 or documents.unwrap(answer.body) is None:
        return None
    document = documents.parse(from_base64(answer.body, field="nitriding's answer"))
    said = document.user_data or b""
    if len(said) != USER_DATA or said[_HALF : _HALF + 2] != _SHA256:
        raise Malformed(f"is {len(said)} bytes, and no two hashes", field="user_data")
    application = said[_HALF + 2 :]
    part = Part(
        name="enclave",
        evidence=answer.body,
        says="user_data is the hash of the TLS certificate, and of the application",
        nonce=short,
        user_data=user_data(web.certificate, application),
    )
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="nitriding's answer"),
        binding=Binding.KEY,
        keys={"tls": web.key},
        nonce=short,
        not_bound=_NOT_BOUND,
        statements=(_said(application),),
        raw={PATH: answer.body, "certificate": web.certificate},
    )


def _said(application: bytes) -> Statement:
    if not any(application):
        why = "the application told nitriding no hash of its own"
        return Statement(name="application_hash", status=Status.UNKNOWN, source=None, why=why)
    return Statement(
        name="application_hash",
        status=Status.ASSERTED,
        source=Source.PROVIDER,
        why=f"the application says that its hash is {application.hex()}",
    )


SERVICE: Final = Service(name=NAME, title="nitriding", ask=ask, not_bound=_NOT_BOUND)
