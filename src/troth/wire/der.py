"""A small strict DER reader (X.690): one element after another, definite shortest lengths only."""

from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.wire.reader import Reader

SEQUENCE: Final = 0x30
INTEGER: Final = 0x02


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag byte, its content, and the whole as it stands."""

    tag: int
    content: bytes
    whole: bytes


def element(reader: Reader, field: str, *, tag: int | None = None) -> Element:
    """The next element.

    Args:
        reader: stands before it.
        field: for errors.
        tag: the tag byte it must have, or None for any of low number.

    Raises:
        Malformed: another tag, a high tag number, a length not in its shortest form, or too few bytes.
    """
    start = reader.offset
    found = reader.uint(1, field)
    if found & 0x1F == 0x1F or (tag is not None and found != tag):
        raise Malformed(f"has the tag {found:#04x}", field=field, offset=start)
    first = reader.uint(1, field)
    head = bytes((found, first))
    size = first
    if first >= 0x80:
        width = first & 0x7F
        if not 1 <= width <= 3:
            raise Malformed("has an indefinite or huge length", field=field, offset=start)
        digits = reader.take(width, field)
        size = int.from_bytes(digits, "big")
        if size < 0x80 or size < 1 << (8 * (width - 1)):
            raise Malformed("has a length not in its shortest form", field=field, offset=start)
        head += digits
    content = reader.take(size, field)
    return Element(found, content, head + content)


def only(data: bytes, field: str, *, tag: int) -> Element:
    """The one element that `data` is.

    Raises:
        Malformed: as `element`, or bytes follow.
    """
    reader = Reader(data)
    found = element(reader, field, tag=tag)
    reader.end(field)
    return found


def span(data: bytes, at: int, end: int, field: str, tag: int | None = None) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends; for long walks, without copies.

    Args:
        data: the whole.
        at: where the element begins.
        end: where what holds it ends.
        field: for errors.
        tag: the tag byte it must have, or None for any of low number.

    Raises:
        Malformed: as `element`.
    """
    if end - at < 2:
        raise Malformed("is missing", field=field, offset=at)
    found, size, start = data[at], data[at + 1], at + 2
    if found != tag and (tag is not None or found & 0x1F == 0x1F):
        raise Malformed(f"has the tag {found:#04x}", field=field, offset=at)
    if size >= 0x80:
        width = size & 0x7F
        if not 1 <= width <= 3:
            raise Malformed("has an indefinite or huge length", field=field, offset=at)
        size = int.from_bytes(data[start : start + width], "big")
        start += width
        if size < 0x80 or size < 1 << (8 * (width - 1)):
            raise Malformed("has a length not in its shortest form", field=field, offset=at)
    stop = start + size
    if stop > end:
        raise Malformed(f"needs {size} bytes, {end - start} are left", field=field, offset=start)
    return start, stop
