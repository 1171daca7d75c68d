"""A small strict DER reader (X.690): where elements lie, by definite shortest lengths only."""

from typing import Final

from troth.errors import Malformed

SEQUENCE: Final = 0x30
INTEGER: Final = 0x02


def element(data: bytes, at: int, field: str, *, tag: int | None = None) -> tuple[int, int]:
    """`span` in data that nothing else holds."""
    return span(data, at, len(data), field, tag)


def span(data: bytes, at: int, end: int, field: str, tag: int | None = None) -> tuple[int, int]:
    """Where the content of an element begins, and where the element ends.

    Args:
        data: the element and what surrounds it.
        at: where the element begins.
        end: where what holds it ends.
        field: for errors.
        tag: the tag byte it must have, or None for any of low number.

    Raises:
        Malformed: another tag, a high tag number, a length not in its shortest form, or too few bytes.
    """
    begin = at + 2
    if begin > end:
        raise Malformed("ends where an element should begin", field=field, offset=at)
    found, size = data[at], data[at + 1]
    if found != tag and (tag is not None or found & 0x1F == 0x1F):
        raise Malformed(f"has the tag {found:#04x}", field=field, offset=at)
    if size >= 0x80:
        width = size & 0x7F
        if not 1 <= width <= 3:
            raise Malformed("has an indefinite or huge length", field=field, offset=at)
        size = int.from_bytes(data[begin : begin + width])
        begin += width
        if size < 0x80 or size < 1 << (8 * (width - 1)):
            raise Malformed("has a length not in its shortest form", field=field, offset=at)
    if begin + size > end:
        raise Malformed(f"needs {size} bytes, fewer are left", field=field, offset=at)
    return begin, begin + size


def only(data: bytes, field: str, *, tag: int) -> int:
    """Where the content begins of the one element that `data` is.

    Raises:
        Malformed: as `element`, or bytes follow.
    """
    begin, end = element(data, 0, field, tag=tag)
    if end != len(data):
        raise Malformed(f"{len(data) - end} bytes follow", field=field, offset=end)
    return begin
