"""Bytes that arrive as text: strict hex and base64, one encoding only."""

import base64
import binascii
import re
from typing import Final

from troth.errors import Malformed

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Of an app, and of what is handed to it: it becomes a part of files' names."""
HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")
"""Bytes in the one form in which troth's own parts write them to each other."""


def from_hex(text: str, *, field: str) -> bytes:
    """Bytes of a hex string; upper or lower case, optional `0x`, nothing else.

    Raises:
        Malformed: odd length or another character.
    """
    digits = text.removeprefix("0x")
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        data = b""
    if 2 * len(data) != len(digits):  # the library skips white space
        raise Malformed("is not hexadecimal", field=field)
    return data


def from_base64(text: bytes, *, field: str) -> bytes:
    """Bytes of standard base64 with padding and at most one newline at the end.

    Raises:
        Malformed: another character, wrong padding, or bits set behind the end.
    """
    body = text.removesuffix(b"\n").removesuffix(b"\r")
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("is not base64", field=field) from None
    if base64.b64encode(data) != body:
        raise Malformed("is not canonical base64", field=field)
    return data
