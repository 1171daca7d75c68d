"""Envelopes with signatures: DSSE 1.0 (Dead Simple Signing Envelope), of which one form only is read.

What is signed is the pre-authentication encoding, so that bytes of one type can't be taken for another's.

Does not verify: what the payload says.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from troth.crypto.public import PublicKey
from troth.errors import Malformed, Misuse
from troth.release.keys import Hashing
from troth.wire import json

IN_TOTO: Final = "application/vnd.in-toto+json"
MAX_ENVELOPE: Final = 48 * 1024 * 1024
_MOST_SIGNATURES: Final = 64
_FIELD: Final = "envelope"


class Key(Protocol):
    """A private key, wherever it is kept."""

    def sign(self, data: bytes, algorithm: Hashing) -> bytes:
        """The signature of these bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature.

    Attributes:
        keyid: SHA-256 of the public key in hex. It only says which key to try.
        sig: the signature's bytes.
    """

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An envelope as it was read: nothing in it is verified.

    Attributes:
        payload_type: what the payload is said to be.
        payload: its bytes.
        signatures: at least one.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that are signed."""
        return pae(self.payload_type, self.payload)

    def to_json(self) -> bytes:
        """The file."""
        return json.canonical(
            {
                "payload": _base64(self.payload),
                "payloadType": self.payload_type,
                "signatures": [{"keyid": s.keyid, "sig": _base64(s.sig)} for s in self.signatures],
            }
        )


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding (DSSE protocol, 2)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(
    payload: bytes,
    *,
    payload_type: str,
    keys: Sequence[tuple[PublicKey, Key]],
    beside: Envelope | None = None,
) -> Envelope:
    """An envelope, each of whose signatures was verified before it is given out.

    Args:
        payload: the bytes.
        payload_type: what they are.
        keys: public and private key of each that signs.
        beside: an envelope with the same payload that others signed, whose signatures are kept as they are,
            or None.

    Raises:
        Misuse: no key, one twice, or a private key that is another's; or the other envelope is about
            something else.
        Unavailable: as the keys do.
    """
    before = () if beside is None else beside.signatures
    if beside is not None and (beside.payload_type, beside.payload) != (payload_type, payload):
        raise Misuse(
            "the envelope that others signed holds something else",
            fix="sign the same statement: the same image, record and builder",
        )
    if {signature.keyid for signature in before} & {public.id for public, _ in keys}:
        raise Misuse("this key has signed the envelope already", fix="sign with another key")
    if not keys or len({public.id for public, _ in keys}) != len(keys):
        raise Misuse("one or more keys sign, each once", fix="name a key")
    signed = pae(payload_type, payload)
    made = []
    for public, key in keys:
        signature = public.settled(key.sign(signed, public))
        if wrong := public.verify(signature, signed):
            raise Misuse(
                f"the key gave something else than a signature of its public key: {wrong}",
                fix=f"give the public key of this private key; it signs with {public.algorithm}",
            )
        made.append(Signature(keyid=public.id, sig=signature))
    return Envelope(payload_type=payload_type, payload=payload, signatures=(*before, *made))


def read(data: bytes) -> Envelope:
    """An envelope, in the form that `sign` gives and no other.

    Raises:
        Malformed: anything else: also an envelope without a signature, and members that are not known.
    """
    value = json.parse(data, field=_FIELD, limit=MAX_ENVELOPE)
    _members(value, {"payload", "payloadType", "signatures"}, _FIELD)
    kind, listed = value["payloadType"], value["signatures"]
    if not isinstance(kind, str) or not 0 < len(kind) <= 200 or not kind.isascii():
        raise Malformed("is no type", field=f"{_FIELD}: payloadType")
    if not isinstance(listed, list) or not 0 < len(listed) <= _MOST_SIGNATURES:
        raise Malformed(
            f"has no list of 1 to {_MOST_SIGNATURES} signatures", field=f"{_FIELD}: signatures"
        )
    found = Envelope(
        payload_type=kind,
        payload=_bytes(value["payload"], "payload"),
        signatures=tuple(_signature(item) for item in listed),
    )
    if found.to_json() != data:
        raise Malformed("is not in the form that troth writes", field=_FIELD)
    return found


def problems(envelope: Envelope, keys: Sequence[PublicKey]) -> tuple[str, ...]:
    """What speaks against an envelope; nothing if all of its signatures verify, and each key signed.

    Whoever signs beside the keys that are asked for is refused, too: what could not be verified is not
    carried along as if it had been.

    Args:
        envelope: as it was read.
        keys: all that must have signed.

    Raises:
        Misuse: no keys.
    """
    if not keys:
        raise Misuse("a signature is verified with a key", fix="name the public key")
    wanted = {key.id: key for key in keys}
    found: list[str] = []
    good: set[str] = set()
    for number, signature in enumerate(envelope.signatures, 1):
        key = wanted.get(signature.keyid)
        if key is None:
            found.append(
                f"signature {number} is of the key {_short(signature.keyid)}, which was not given"
            )
        elif wrong := key.verify(signature.sig, envelope.signed):
            found.append(f"signature {number}, of the key {_short(key.id)}: {wrong}")
        elif key.id in good:
            found.append(f"the key {_short(key.id)} signed twice")
        else:
            good.add(key.id)
    found += [f"the key {_short(name)} did not sign" for name in wanted if name not in good]
    return tuple(found)


def _short(keyid: str) -> str:
    return f"{keyid[:16]}…" if len(keyid) > 16 else keyid


def _signature(item: Any) -> Signature:
    field = f"{_FIELD}: signature"
    _members(item, {"keyid", "sig"}, field)
    keyid = item["keyid"]
    if not isinstance(keyid, str) or len(keyid) > 200 or not keyid.isascii():
        raise Malformed("has no keyid", field=field)
    return Signature(keyid=keyid, sig=_bytes(item["sig"], "signature"))


def _members(value: Any, names: set[str], field: str) -> None:
    if not isinstance(value, dict) or value.keys() != names:
        raise Malformed(f"has other members than {', '.join(sorted(names))}", field=field)


def _bytes(value: Any, name: str) -> bytes:
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise Malformed("is empty or no base64", field=f"{_FIELD}: {name}")
    return data


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
