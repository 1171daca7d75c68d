"""Evervault: a Nitro document as a name in the TLS certificate, made for a nonce in the TLS handshake.

The certificate has the alternative name `<document in hex>.<hostname>`. Asked for the server name
`<nonce in base64>.attest.<hostname>` the enclave makes a certificate anew, whose document carries that
nonce; the base64 is that for addresses, without padding, since names hold no other. The document's user
data is the SubjectPublicKeyInfo (DER) of the certificate.

`GET /.well-known/attestation` gives `{"attestation_doc": base64}`, a document that the enclave keeps.
"""

import base64
import binascii
from typing import Any, Final

from troth.channel.services import _leaf
from troth.channel.services._service import UNSIGNED, Found, Service
from troth.channel.web import Redirected, Web
from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.composite import Composite, Part
from troth.platforms.nitro import format as documents
from troth.wire import json
from troth.wire.text import from_base64

NAME: Final = "evervault"
PATH: Final = "/.well-known/attestation"
_LABEL: Final = 63  # the longest part that a host's own name can have (RFC 1035 section 2.3.4)
_ANY_SESSION: Final = "the document names the certificate's key and no session: whoever gets hold of that key can stand in"
_FRESH: Final = (_ANY_SESSION, UNSIGNED)
_KEPT: Final = (
    "no freshness: the document is one that the enclave keeps, and carries no nonce of yours",
    _ANY_SESSION,
    UNSIGNED,
)


def server_name(nonce: bytes, host: str) -> str:
    """The name in whose handshake the enclave makes a certificate over this nonce."""
    text = base64.urlsafe_b64encode(nonce).rstrip(b"=").decode("ascii")
    return f"{text}.attest.{host}"


def in_certificate(certificate: bytes, host: str) -> bytes | None:
    """The document in a certificate's names; None if there is none.

    Args:
        certificate: the TLS leaf, DER.
        host: the name that must stand behind the document.

    Raises:
        Malformed: there are two, or one is not hexadecimal.
    """
    leaf = _leaf.read(certificate)
    names = _leaf.dns_names(leaf) if leaf is not None else ()
    heads = (name.removesuffix(f".{host}") for name in names if name.endswith(f".{host}"))
    found = [head for head in heads if len(head) > _LABEL and "." not in head]
    if len(found) > 1:
        raise Malformed("names two documents", field="subjectAltName")
    if not found:
        return None
    try:
        return binascii.unhexlify(found[0])
    except binascii.Error:
        raise Malformed(
            "names a document that is not hexadecimal", field="subjectAltName"
        ) from None


def ask(web: Web, nonce: bytes) -> Found | None:
    """A fresh certificate if the host makes one, else the one it shows, else the document it keeps."""
    if not web.secure:
        return None
    if in_certificate(web.certificate, web.host) is None:
        return _well_known(web)
    fresh = _fresh(web, nonce)
    if fresh is not None:
        return fresh
    document = in_certificate(web.certificate, web.host) or b""
    return _found(document, key=web.key, certificate=web.certificate, nonce=None)


def _fresh(web: Web, nonce: bytes) -> Found | None:
    """The certificate over a nonce; None where the host makes none, or for a key of another kind.

    A key that the host shows in no other session would vouch for nothing that is sent.
    """
    shown = web.greet(alpn=(b"http/1.1",), sni=server_name(nonce, web.host))
    document = None if shown is None else in_certificate(shown.certificate, web.host)
    if shown is None or document is None or shown.key != web.key:
        return None
    if documents.parse(document).nonce is None:
        return None
    return _found(document, key=shown.key, certificate=shown.certificate, nonce=nonce)


def _well_known(web: Web) -> Found | None:
    try:
        answer = web.get(PATH, limit=4 * documents.MAX_DOCUMENT)
    except Redirected:
        return None
    if answer.status != 200:
        return None
    try:
        value: Any = json.parse(answer.body, field=PATH)
    except Malformed:
        return None  # other protocols keep other things under this name
    if not isinstance(value, dict) or set(value) != {"attestation_doc"}:
        return None
    text = value["attestation_doc"]
    if not isinstance(text, str) or not text.isascii():
        raise Malformed("is not base64 text", field="attestation_doc")
    document = from_base64(text.encode("ascii"), field="attestation_doc")
    return _found(
        document, key=web.key, certificate=web.certificate, nonce=None, answer=answer.body
    )


def _found(
    document: bytes,
    *,
    key: bytes,
    certificate: bytes,
    nonce: bytes | None,
    answer: bytes | None = None,
) -> Found:
    part = Part(
        name="enclave",
        evidence=document,
        says="user_data is the certificate's public key",
        nonce=nonce,
        user_data=key,
    )
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="Evervault's document"),
        binding=Binding.KEY,
        keys={"tls": key},
        nonce=nonce,
        not_bound=_KEPT if nonce is None else _FRESH,
        raw={"certificate": certificate} | ({PATH: answer} if answer is not None else {}),
    )


SERVICE: Final = Service(name=NAME, title="Evervault Enclaves", ask=ask, not_bound=_KEPT)
