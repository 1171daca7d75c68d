"""Contrast (Edgeless Systems): a report as an extension of a TLS certificate that is made for a nonce.

The client draws a nonce and offers it as a protocol, `atls:v1:nonce:<hex>`, beside `h2`. The server makes
a certificate for it; extension 1.3.9901.2.1 holds an SNP report, 1.3.9901.2.2 a TDX quote, and REPORT_DATA
is SHA-512(SubjectPublicKeyInfo ‖ nonce).
"""

import hashlib
from typing import Final

from troth.channel.services import _leaf
from troth.channel.services._service import UNSIGNED, Found, Service
from troth.channel.web import Web
from troth.model.channel import Binding
from troth.model.composite import Composite, Part

NAME: Final = "contrast"
SNP: Final = _leaf.oid("1.3.9901.2.1")
TDX: Final = _leaf.oid("1.3.9901.2.2")
_PREFIX: Final = "atls:v1:nonce:"
_NOT_BOUND: Final = (
    "the report names the certificate's key and no session: whoever gets hold of that key can stand in",
    "an SNP report comes alone: the processor's certificate has to be had elsewhere",
    UNSIGNED,
)


def protocol(nonce: bytes) -> bytes:
    """The protocol that carries the nonce."""
    return f"{_PREFIX}{nonce.hex()}".encode("ascii")


def user_data(key: bytes, nonce: bytes) -> bytes:
    """REPORT_DATA for a key (SubjectPublicKeyInfo, DER) and a nonce."""
    return hashlib.sha512(key + nonce).digest()


def ask(web: Web, nonce: bytes) -> Found | None:
    """See the module; opens a session of its own."""
    if not web.secure:
        return None
    shown = web.greet(alpn=(protocol(nonce), b"h2"))
    leaf = None if shown is None else _leaf.read(shown.certificate)
    if shown is None or leaf is None:
        return None
    found = leaf.extensions.get(SNP) or leaf.extensions.get(TDX)
    if found is None:
        return None
    part = Part(
        name="cpu",
        evidence=found,
        says="REPORT_DATA is the hash of the TLS key and your nonce",
        user_data=user_data(shown.key, nonce),
        over_nonce=True,
    )
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="Contrast's attested TLS"),
        binding=Binding.KEY,
        keys={"tls": shown.key},
        nonce=nonce,
        not_bound=_NOT_BOUND,
        raw={"certificate": shown.certificate},
    )


SERVICE: Final = Service(name=NAME, title="Contrast", ask=ask, not_bound=_NOT_BOUND)
