"""The older form of signed answers (Phala, NEAR AI, redpill): one text with two digests, and a signature.

`text` is hex(SHA-256(request)) `:` hex(SHA-256(answer)), newer gateways put the model's name in front.
It is signed by EIP-191's `personal_sign` under a secp256k1 address, or by Ed25519.

Does not verify what the form leaves open, see `NOT_BOUND`.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from troth.crypto import ethereum
from troth.crypto.signature import ed25519_raw
from troth.errors import Malformed
from troth.model.check import Check, failed, passed
from troth.model.codes.answer import B411, B413, B414, B416
from troth.wire import json
from troth.wire.text import from_hex

ECDSA: Final = "ecdsa"
ED25519: Final = "ed25519"
REQUIRED: Final = (B411, B413, B414)
_MAX: Final = 64 * 1024
_MAX_TEXT: Final = 1024
_SIZES: Final = {ECDSA: 20, ED25519: 32}

NOT_BOUND: Final = (
    (
        "a signature names no time, no endpoint and, in its oldest form, no model: whoever can make the service"
        " answer the same request with another model has a signature that fits"
    ),
    (
        "known servers sign a request digest that a trusted caller may hand in by a header, and change the"
        " request after it was hashed: the digest is what the client claims, not what the model saw"
    ),
    (
        "signatures lie in a cache and expire, and the signing key is fresh for each process: after a restart"
        " an answer can no longer be checked against new evidence"
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signed text. Read, not believed.

    Attributes:
        text: what is signed.
        model: the part in front of the digests, empty in the older form.
        request, response: SHA-256 in lower-case hexadecimal, as the text has them.
        algorithm: `ecdsa` or `ed25519`.
        address: 20 bytes that name a secp256k1 key, or an Ed25519 key.
        signature: its bytes.
    """

    text: str
    model: str
    request: str
    response: str
    algorithm: str
    address: bytes
    signature: bytes


def read(data: bytes) -> Signature:
    """Reads the answer of `/v1/signature/{id}`; other members are passed over, nothing signs them.

    Raises:
        Malformed: a member is missing or of another form.
    """
    value = json.parse(data, field="signature answer", limit=_MAX)
    if not isinstance(value, dict):
        raise Malformed("is not an object", field="signature answer")
    text = _string(value, "text")
    if not text.isascii():
        raise Malformed("is not ASCII", field="text")
    model, request, response = _split(text)
    algorithm = _string(value, "signing_algo").lower()
    if algorithm not in _SIZES:
        raise Malformed(f"is {algorithm[:40]!r}, should be ecdsa or ed25519", field="signing_algo")
    return Signature(
        text=text,
        model=model,
        request=request,
        response=response,
        algorithm=algorithm,
        address=address(_string(value, "signing_address"), algorithm),
        signature=from_hex(_string(value, "signature"), field="signature"),
    )


def address(text: str, algorithm: str) -> bytes:
    """A signing address out of a document: 20 bytes for ECDSA, a key of 32 for Ed25519.

    Raises:
        Malformed: another size, or no hexadecimal.
    """
    data = from_hex(text, field="signing_address")
    if len(data) != _SIZES[algorithm]:
        raise Malformed(
            f"is {len(data)} bytes, should be {_SIZES[algorithm]} for {algorithm}",
            field="signing_address",
        )
    return data


def checks(
    signed: Signature, *, address: bytes, request: str, response: str, model: str = ""
) -> tuple[Check, ...]:
    """What this form can answer.

    Args:
        signed: fetched for this answer.
        address: that accepted evidence names.
        request: SHA-256 of the body exactly as sent, in hexadecimal.
        response: that of the bytes exactly as received.
        model: that was asked for; compared where the text names one, see `NOT_BOUND` where not.

    Raises:
        Unavailable: the library for recovering secp256k1 keys is not installed.
    """
    subject = "signature"
    found = [_signature(subject, signed, address)]
    for code, presented, expected in (
        (B413, signed.request, request),
        (B414, signed.response, response),
    ):
        settle = passed if presented == expected else failed
        found.append(settle(code, subject, presented=presented, expected=expected))
    if signed.model:
        settle = passed if signed.model == model else failed
        found.append(settle(B416, subject, presented=signed.model, expected=model))
    return tuple(found)


def text(request: bytes, response: bytes, *, model: str = "") -> str:
    """The text over an exchange."""
    digests = (hashlib.sha256(body).hexdigest() for body in (request, response))
    return ":".join((model, *digests) if model else digests)


def _signature(subject: str, signed: Signature, wanted: bytes) -> Check:
    if signed.address != wanted:
        return failed(
            B411, subject, presented=signed.address.hex(), expected=wanted.hex(), why="another key"
        )
    data = signed.text.encode("ascii")
    if signed.algorithm == ED25519:
        wrong = ed25519_raw(wanted, signed.signature, data)
    else:
        signer = ethereum.personal_signer(data, signed.signature)
        wrong = "" if signer == wanted else "the signature is not by this address"
    return failed(B411, subject, why=wrong) if wrong else passed(B411, subject)


def _split(text: str) -> tuple[str, str, str]:
    # A model's name may hold a colon; digests never do.
    *names, request, response = text.split(":") if text.count(":") else ("", "", "")
    for digest in (request, response):
        if len(digest) != 64 or digest != digest.lower():
            raise Malformed("does not end in two digests in lower-case hexadecimal", field="text")
        from_hex(digest, field="text")
        if digest.startswith("0x"):
            raise Malformed("does not end in two bare digests", field="text")
    return ":".join(names), request, response


def _string(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= _MAX_TEXT:
        raise Malformed(f"is not a text of 1 to {_MAX_TEXT} characters", field=name)
    return found
