"""SCALE, the part that is used around evidence: compact lengths, byte strings, text, lists."""

from collections.abc import Callable
from typing import Final, TypeVar

from troth.errors import Malformed
from troth.wire.reader import Reader

_ONE: Final = 1 << 6
_TWO: Final = 1 << 14
_FOUR: Final = 1 << 30
T = TypeVar("T")


def compact(reader: Reader, field: str) -> int:
    """A compact number below 2^30, in its shortest form.

    Raises:
        Malformed: longer, or in a longer form than it needs.
    """
    at = reader.offset
    first = reader.uint(1, field)
    match first & 3:
        case 0:
            return first >> 2
        case 1:
            value, least = (first | reader.uint(1, field) << 8) >> 2, _ONE
        case 2:
            rest = reader.uint(3, field, "little")
            value, least = (first | rest << 8) >> 2, _TWO
        case _:
            raise Malformed("is a number of 2^30 or more", field=field, offset=at)
    if value < least:
        raise Malformed(f"{value} is not in its shortest form", field=field, offset=at)
    return value


def sized(reader: Reader, field: str) -> bytes:
    """A byte string with its length before it."""
    return reader.take(compact(reader, field), field)


def text(reader: Reader, field: str) -> str:
    """Text with the length of its UTF-8 before it.

    Raises:
        Malformed: it is not UTF-8.
    """
    at = reader.offset
    try:
        return sized(reader, field).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8", field=field, offset=at) from None


def many(reader: Reader, field: str, item: Callable[[Reader], T]) -> list[T]:
    """A list with its count before it; each item takes a byte at least."""
    at = reader.offset
    count = compact(reader, field)
    if count > reader.remaining:
        raise Malformed(f"{count} items cannot fit", field=field, offset=at)
    return [item(reader) for _ in range(count)]


def with_size(data: bytes) -> bytes:
    """A byte string, its compact length before it.

    Raises:
        ValueError: it has 2^30 bytes or more.
    """
    return number(len(data)) + data


def number(value: int) -> bytes:
    """A compact number below 2^30.

    Raises:
        ValueError: another number.
    """
    if not 0 <= value < _FOUR:
        raise ValueError(f"{value} is no number below 2^30")
    width = 1 if value < _ONE else 2 if value < _TWO else 4
    return (value << 2 | width >> 1).to_bytes(width, "little")
