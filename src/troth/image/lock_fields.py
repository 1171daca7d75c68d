"""Fields of a lock: each is of one form, or the lock is none."""

import re
from itertools import pairwise
from typing import Any, Final

from troth.errors import Malformed
from troth.image.store import DIGEST

ANEW: Final = "run `troth lock --update` on the app"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~%_!-]*")
_PLAIN = re.compile(r"[ -~]*")
_MOST: Final = 2**40  # bytes of one package


def exactly(value: Any, keys: set[str], field: str) -> None:
    """An object with these keys and no others.

    Raises:
        Malformed: it is not.
    """
    if not isinstance(value, dict) or set(value) != keys:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise Malformed(
            f"is {found}, and must be an object with {sorted(keys)}", field=field, fix=ANEW
        )


def text(value: Any, field: str) -> str:
    """A text of plain ASCII, without control characters.

    Raises:
        Malformed: it is not.
    """
    if not isinstance(value, str):
        raise Malformed(f"is {type(value).__name__}, not a text", field=field)
    if not _PLAIN.fullmatch(value):
        raise Malformed("has a character that is not plain ASCII", field=field)
    return value


def entries(value: Any, field: str) -> list[Any]:
    """A list.

    Raises:
        Malformed: it is not.
    """
    if not isinstance(value, list):
        raise Malformed(f"is {type(value).__name__}, not a list", field=field)
    return value


def sha256_of(value: Any, field: str) -> str:
    """A SHA-256 in lower-case hexadecimal.

    Raises:
        Malformed: it is not.
    """
    if not DIGEST.fullmatch(text(value, field)):
        raise Malformed("is no SHA-256 in lower-case hexadecimal", field=field)
    return str(value)


def size_of(value: Any, field: str) -> int:
    """A size in bytes.

    Raises:
        Malformed: it is not.
    """
    if type(value) is not int or not 0 < value <= _MOST:
        raise Malformed("is no size in bytes", field=field)
    return value


def file_name(value: Any, field: str) -> str:
    """A file's name, as archives of packages have them.

    Raises:
        Malformed: it is not.
    """
    if not _FILE_NAME.fullmatch(text(value, field)):
        raise Malformed(f"is {value!r}, which is no file name", field=field)
    return str(value)


def ordered(names: list[str], field: str) -> None:
    """Each name once, and in order.

    Raises:
        Malformed: they are not.
    """
    for before, after in pairwise(names):
        if before >= after:
            raise Malformed(f"has {after} twice or out of order", field=field)
