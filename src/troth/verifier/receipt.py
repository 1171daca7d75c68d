"""A receipt: data that an app signed with a key made inside, checked against verified evidence.

The agent's identity key is Ed25519, made at start, and attested under its own tag. A receipt is the
app's bytes and one signature by that key, so anyone can check it later, offline, with the evidence.
"""

from dataclasses import dataclass
from typing import Final

from troth.crypto.signature import ed25519_raw
from troth.model.check import Check, failed, passed
from troth.model.claims import Claims
from troth.model.codes.binding import B401
from troth.verifier.binding import SIGNING_DOMAIN, Tag, bind

_SPKI_ED25519: Final = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, then 32 bytes of key


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the app signed, and the signature.

    Attributes:
        name: for reports.
        data: the bytes, exactly as signed.
        signature: Ed25519, 64 bytes, over `SIGNING_DOMAIN` and `data`.
    """

    name: str
    data: bytes
    signature: bytes


def check(claims: Claims, receipt: Receipt) -> Check:
    """Whether the key in this evidence is an identity key, and signed this receipt.

    The evidence must be bound under the identity tag: a key that an app or a channel put there is
    not taken for the enclave's identity. Does not verify that what the receipt says is true; the
    measured code says what it signs.
    """
    key, nonce = claims.public_key, claims.nonce
    if key is None or nonce is None:
        return failed(B401, receipt.name, why="the evidence binds no identity key")
    if claims.user_data != bind(Tag.IDENTITY, key, nonce):
        return failed(
            B401, receipt.name, why="the evidence is bound to something else than identity"
        )
    if len(key) != 44 or not key.startswith(_SPKI_ED25519):
        return failed(B401, receipt.name, why="the key in the evidence is not Ed25519")
    wrong = ed25519_raw(key[len(_SPKI_ED25519) :], receipt.signature, SIGNING_DOMAIN + receipt.data)
    if wrong:
        return failed(B401, receipt.name, why=wrong)
    return passed(B401, receipt.name, presented=f"{len(receipt.data)} bytes signed inside")
