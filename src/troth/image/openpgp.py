"""Which keys an OpenPGP keyring holds (RFC 9580), by fingerprint. Nothing is verified with them here."""

import hashlib
from typing import Final

from troth.errors import Malformed
from troth.wire.reader import Reader

_PUBLIC_KEY: Final = 6
_PUBLIC_SUBKEY: Final = 14


def fingerprints(data: bytes, *, field: str) -> tuple[str, ...]:
    """Version 4 fingerprints of all keys and subkeys, in the order of the keyring.

    Args:
        data: a binary keyring.
        field: its name, for errors.

    Raises:
        Malformed: not a sequence of whole packets, or a key that is not version 4.
    """
    reader = Reader(data)
    found = []
    while reader.remaining:
        tag, body = _packet(reader, field)
        if tag in (_PUBLIC_KEY, _PUBLIC_SUBKEY):
            if body[:1] != b"\x04":
                raise Malformed("holds a key that is not version 4", field=field)
            framed = b"\x99" + len(body).to_bytes(2, "big") + body
            found.append(hashlib.sha1(framed, usedforsecurity=False).hexdigest())
    return tuple(found)


def _packet(reader: Reader, field: str) -> tuple[int, bytes]:
    """One packet in the old or the new framing; partial lengths are not for keys."""
    head = reader.uint(1, field)
    if not head & 0x80:
        raise Malformed("is not an OpenPGP packet", field=field, offset=reader.offset - 1)
    if head & 0x40:
        first = reader.uint(1, field)
        if first < 192:
            size = first
        elif first < 224:
            size = ((first - 192) << 8) + reader.uint(1, field) + 192
        elif first == 255:
            size = reader.uint(4, field)
        else:
            raise Malformed("has a partial length", field=field, offset=reader.offset - 1)
        return head & 0x3F, reader.take(size, field)
    if head & 3 == 3:
        raise Malformed("has no length", field=field, offset=reader.offset - 1)
    return (head >> 2) & 0xF, reader.take(reader.uint(1 << (head & 3), field), field)
