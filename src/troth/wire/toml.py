"""TOML without numbers that no machine has: the library reads any, and nothing may print one of more than 4,300 digits."""

import tomllib
from typing import Any, Final

_MOST_BITS: Final = 64


def loads(text: str) -> dict[str, Any]:
    """The document of a text.

    Raises:
        ValueError: it is no TOML (`tomllib.TOMLDecodeError`), or holds a number of more than 64 bits.
        RecursionError: it is nested too deep.
    """
    document = tomllib.loads(text)
    left: list[Any] = [document]
    while left:
        match left.pop():
            case dict() as table:
                left += table.values()
            case list() as items:
                left += items
            case int() as number if number.bit_length() > _MOST_BITS:
                raise ValueError("holds too long a number")
    return document
