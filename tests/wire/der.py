"""DER made by hand, and taken apart again, for tests of readers."""

from collections.abc import Iterable


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content


def seq(*parts: bytes) -> bytes:
    return der(0x30, *parts)


def children(data: bytes) -> list[bytes]:
    """The elements in the content of the one element that `data` is."""
    start, end = _span(data, 0)
    found, at = [], start
    while at < end:
        _, stop = _span(data, at)
        found.append(data[at:stop])
        at = stop
    return found


def rebuilt(tag: int, parts: Iterable[bytes]) -> bytes:
    return der(tag, *parts)


def _span(data: bytes, at: int) -> tuple[int, int]:
    size, start = data[at + 1], at + 2
    if size >= 0x80:
        width = size & 0x7F
        size = int.from_bytes(data[start : start + width], "big")
        start += width
    return start, start + size
