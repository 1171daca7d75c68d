"""MessagePack, the part that structures of Rust's serde need: maps by name, arrays, text, bytes, integers.

Refused: trailing bytes, floats, extensions, keys that are not text, duplicate keys, integers not in
their shortest form where the writer has a choice of widths, text that is not UTF-8, nesting deeper than
`MAX_DEPTH`. Bytes come back as bytes; a writer may also have written them as an array of numbers, which
`as_bytes` reads.
"""

from typing import Any, Final

from troth.errors import Malformed
from troth.wire.reader import Reader

MAX_DEPTH: Final = 12
_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}
# Marker to the width of the number behind it, and for integers the least value that needs that width.
_UNSIGNED: Final = {0xCC: (1, 0x80), 0xCD: (2, 0x100), 0xCE: (4, 0x10000), 0xCF: (8, 1 << 32)}
_BYTES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_TEXT: Final = {0xD9: (1, 32), 0xDA: (2, 0x100), 0xDB: (4, 0x10000)}
_ARRAYS: Final = {0xDC: (2, 16), 0xDD: (4, 0x10000)}
_MAPS: Final = {0xDE: (2, 16), 0xDF: (4, 0x10000)}


def decode(data: bytes, *, field: str) -> Any:
    """The one value that `data` is.

    Raises:
        Malformed: anything else.
    """
    reader = Reader(data)
    value = _value(reader, field, 0)
    reader.end(field)
    return value


def as_bytes(value: Any, *, field: str) -> bytes:
    """Bytes, written as such or as an array of numbers below 256.

    Raises:
        Malformed: it is neither.
    """
    if isinstance(value, bytes):
        return value
    numbers = isinstance(value, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 256 for n in value
    )
    if not numbers:
        raise Malformed("is neither bytes nor an array of them", field=field)
    return bytes(value)


def _value(reader: Reader, field: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise Malformed(f"is nested deeper than {MAX_DEPTH}", field=field, offset=reader.offset)
    at = reader.offset
    head = reader.uint(1, field)
    if head < 0x80 or head in _CONSTANTS:
        return head if head < 0x80 else _CONSTANTS[head]
    if head < 0x90:
        return _map(reader, head & 0x0F, field, depth)
    if head < 0xA0:
        return _array(reader, head & 0x0F, field, depth)
    if head < 0xC0:
        return _text(reader, head & 0x1F, field)
    return _wide(reader, head, field, depth, at)


def _wide(reader: Reader, head: int, field: str, depth: int, at: int) -> Any:
    """A value whose number or length stands in bytes behind its marker."""
    if head in _UNSIGNED:
        return _number(reader, _UNSIGNED[head], field)
    if head in _BYTES:
        return reader.take(reader.uint(_BYTES[head], field), field)
    if head in _TEXT:
        return _text(reader, _number(reader, _TEXT[head], field), field)
    if head in _ARRAYS:
        return _array(reader, _number(reader, _ARRAYS[head], field), field, depth)
    if head in _MAPS:
        return _map(reader, _number(reader, _MAPS[head], field), field, depth)
    raise Malformed(f"has a value of kind {head:#04x}, unused here", field=field, offset=at)


def _number(reader: Reader, form: tuple[int, int], field: str) -> int:
    width, least = form
    at = reader.offset
    value = reader.uint(width, field)
    if value < least:
        raise Malformed(f"{value} is not in its shortest form", field=field, offset=at)
    return value


def _text(reader: Reader, size: int, field: str) -> str:
    at = reader.offset
    try:
        return reader.take(size, field).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("has text that is not UTF-8", field=field, offset=at) from None


def _array(reader: Reader, count: int, field: str, depth: int) -> list[Any]:
    _fits(reader, count, field)
    return [_value(reader, field, depth + 1) for _ in range(count)]


def _map(reader: Reader, count: int, field: str, depth: int) -> dict[str, Any]:
    _fits(reader, 2 * count, field)
    result: dict[str, Any] = {}
    for _ in range(count):
        at = reader.offset
        key = _value(reader, field, depth + 1)
        if not isinstance(key, str) or key in result:
            raise Malformed("has a key twice, or one that is no text", field=field, offset=at)
        result[key] = _value(reader, field, depth + 1)
    return result


def _fits(reader: Reader, items: int, field: str) -> None:
    """Each item takes a byte at least: huge counts are refused before there is room for them."""
    if items > reader.remaining:
        raise Malformed(f"{items} items cannot fit", field=field, offset=reader.offset)
