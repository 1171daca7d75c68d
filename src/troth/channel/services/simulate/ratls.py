"""RA-TLS certificates on 127.0.0.1 in the forms of several makers, over SGX or TDX quotes."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from troth.channel.services import ratls
from troth.channel.services.simulate._loopback import (
    NOT_FOUND,
    Identity,
    Loopback,
    identity,
    new_key,
    spki_of,
)
from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind
from troth.wire import cbor

TAGGED: Final = "2.23.133.5.4.9"
GRAMINE: Final = "0.6.9.42.840.113741.1337.6"  # as its bytes read, the header too many among them
INTEL: Final = ("1.2.840.113741.1.5.5.1.6", "1.2.840.113741.1.13.1.0")
FORMS: Final = ("tagged", "gramine", "both", "intel-tdx", "intel-sgx")
Quote = Callable[[bytes], bytes]


def quoting(pki: DevelopmentPki, *, tdx: bool) -> Quote:
    """Quotes of an enclave, or of a trust domain, over 64 bytes."""
    kind = QuoteKind.TDX_4 if tdx else QuoteKind.SGX_3
    return lambda data: pki.quote(kind, fields={"reportdata": data})


def shown(
    quote: Quote,
    now: datetime,
    *,
    form: str = "tagged",
    quoted: bytes | None = None,
    claims: bytes | None = None,
    data: bytes | None = None,
) -> Identity:
    """A certificate of one form.

    Args:
        quote: makes the evidence.
        now: the present instant.
        form: of `FORMS`.
        quoted: the key that the claims name, where it is another than the certificate's.
        claims: the claims that are sent, where they are other bytes than those that are hashed.
        data: REPORTDATA, where it is to be something else.
    """
    key = new_key()
    made = ratls.claims_for(spki_of(key) if quoted is None else quoted)
    evidence = quote(ratls.user_data(made) if data is None else data)
    sent = made if claims is None else claims
    tagged = (TAGGED, b"\xd9\xea\x60" + cbor.encode([evidence, sent]))
    extensions = {
        "tagged": [tagged],
        "gramine": [(GRAMINE, evidence)],
        "both": [tagged, (GRAMINE, evidence)],
        "intel-tdx": [(INTEL[0], evidence)],
        "intel-sgx": [(INTEL[1], evidence)],
    }[form]
    return identity(now, key=key, extensions=extensions)


def serve(certificate: Identity) -> Loopback:
    """A site with this certificate."""
    return Loopback(lambda _: NOT_FOUND, identity=certificate)
