"""RA-TLS of several makers: a quote as an extension of the self-signed TLS certificate.

- *Interoperable RA-TLS* (CCC Attestation SIG; Gramine from 1.8 on): extension 2.23.133.5.4.9 holds CBOR
  tag 60000 over `[quote, claims]`; the claims are an encoded map whose `pubkey-hash` is `[1, SHA-256(key)]`,
  and REPORTDATA begins with the SHA-256 of their bytes.
- *Gramine, the older extension*: the quote alone. Its object identifier was written with a header too
  many, and stays so. The claims are not sent; where they name no more than the key they can be made again.
- *Intel's arc* (a TDX quote under 1.2.840.113741.1.5.5.1.6, an SGX quote under 1.2.840.113741.1.13.1.0):
  each maker hashes into REPORTDATA what he likes, so the quote is judged and bound to nothing here.
"""

import hashlib
from typing import Any, Final

from troth.channel.services import _leaf
from troth.channel.services._service import UNSIGNED, Found, Service
from troth.channel.web import Web
from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.composite import Composite, Part
from troth.wire import cbor
from troth.wire.x509 import Certificate

NAME: Final = "ratls"
TAGGED: Final = _leaf.oid("2.23.133.5.4.9")
GRAMINE: Final = bytes.fromhex("06092a864886f84d8a3906")
INTEL: Final = tuple(map(_leaf.oid, ("1.2.840.113741.1.5.5.1.6", "1.2.840.113741.1.13.1.0")))
TAG: Final = 60000
PUBKEY_HASH: Final = "pubkey-hash"
_SHA256: Final = 1  # of the IANA registry «Named Information Hash Algorithm»
_MAX_QUOTE: Final = 64 * 1024
_NOT_BOUND: Final = (
    "no freshness: the quote is as old as the certificate, and was made without your nonce",
    "the quote names the key and no session: whoever gets hold of that key can stand in",
    UNSIGNED,
)
_NOTHING_BOUND: Final = (
    "what REPORTDATA is the hash of is the maker's own affair: nothing ties the quote to this key",
    *_NOT_BOUND[:1],
)


def claims_for(key: bytes) -> bytes:
    """The claims that name this key (SubjectPublicKeyInfo, DER) and nothing else, encoded."""
    named = cbor.encode([_SHA256, hashlib.sha256(key).digest()])
    return cbor.encode({PUBKEY_HASH: named})


def names(claims: bytes, key: bytes) -> bool:
    """Whether encoded claims name this key.

    Raises:
        Malformed: they are no map with a `pubkey-hash` of that form, or the hash is of another kind.
    """
    field = "claims"
    value = cbor.decode(claims, field=field)
    if not isinstance(value, dict) or not isinstance(value.get(PUBKEY_HASH), bytes):
        raise Malformed(f"are no map with {PUBKEY_HASH!r}", field=field)
    named = cbor.decode(value[PUBKEY_HASH], field=PUBKEY_HASH)
    shaped = isinstance(named, list) and len(named) == 2
    if not shaped or named[0] != _SHA256 or not isinstance(named[1], bytes):
        raise Malformed("is no hash with SHA-256", field=PUBKEY_HASH)
    return bool(named[1] == hashlib.sha256(key).digest())


def user_data(claims: bytes) -> bytes:
    """REPORTDATA over claims: their SHA-256, and 32 zeros."""
    return hashlib.sha256(claims).digest() + bytes(32)


def tagged(data: bytes) -> tuple[bytes, bytes]:
    """The quote and the claims in a tagged evidence extension.

    Raises:
        Malformed: another tag or form.
    """
    value: Any = cbor.decode(data, field="tagged evidence", tags=frozenset({TAG}))
    if not isinstance(value, cbor.Tagged) or not isinstance(value.value, list):
        raise Malformed(f"is no array behind the tag {TAG}", field="tagged evidence")
    if len(value.value) != 2 or not all(isinstance(item, bytes) for item in value.value):
        raise Malformed("is no quote with its claims", field="tagged evidence")
    quote, claims = value.value
    return quote, claims


def ask(web: Web, nonce: bytes) -> Found | None:  # noqa: ARG001 - the certificate was made before
    """See the module; the firmest of the extensions that the certificate has."""
    if not web.secure:
        return None
    leaf = _leaf.read(web.certificate)
    part = None if leaf is None else _part(leaf, web.key)
    if part is None:
        return None
    bound = part.user_data is not None
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="an RA-TLS certificate"),
        binding=Binding.KEY if bound else Binding.NONE,
        keys={"tls": web.key} if bound else {},
        not_bound=_NOT_BOUND if bound else _NOTHING_BOUND,
        raw={"certificate": web.certificate},
    )


def _part(leaf: Certificate, key: bytes) -> Part | None:
    if TAGGED in leaf.extensions:
        quote, claims = tagged(leaf.extensions[TAGGED])
        # Claims that name another key are those of another certificate: then this key's are wanted.
        wanted = claims if names(claims, key) else claims_for(key)
        says = "REPORTDATA is the hash of claims, and these name the TLS key"
        return Part(name="tee", evidence=_sized(quote), says=says, user_data=user_data(wanted))
    if GRAMINE in leaf.extensions:
        quote = leaf.extensions[GRAMINE]
        says = "REPORTDATA is the hash of claims that name the TLS key and nothing else"
        wanted = claims_for(key)
        return Part(name="tee", evidence=_sized(quote), says=says, user_data=user_data(wanted))
    for number in INTEL:
        if number in leaf.extensions:
            quote = leaf.extensions[number]
            says = "nothing that is known here binds it to the TLS key"
            return Part(name="tee", evidence=_sized(quote), says=says)
    return None


def _sized(quote: bytes) -> bytes:
    if not 1 <= len(quote) <= _MAX_QUOTE:
        raise Malformed(f"is {len(quote)} bytes", field="certificate's quote")
    return quote


SERVICE: Final = Service(name=NAME, title="RA-TLS", ask=ask, not_bound=_NOT_BOUND)
