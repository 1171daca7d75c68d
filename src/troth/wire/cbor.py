"""Strict CBOR (RFC 8949): one encoding for each value, and our own errors with offsets.

Refused: trailing bytes, integers and lengths not in shortest form, duplicate map keys, text that is
not UTF-8, floats, tags that the caller did not name, nesting deeper than `MAX_DEPTH`, more arrays
and maps than `MAX_CONTAINERS`. Indefinite lengths are refused too, but for maps at the outermost level
where the caller says that real hardware makes them (`allow_indefinite_map`; Nitro does since 2025).

Map order is kept and not required: Nitro's payload is not sorted.
"""

from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed

MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 1 << 32
MAX_CONTAINERS: Final = 64 * 1024  # one byte makes an empty one, which takes dozens in memory
_SHORT: Final = 24  # additional information below this is the value itself
_SIMPLE: Final = {20: False, 21: True, 22: None}
_KEYS: Final = (int, str, bytes)  # exactly: a bool is an int, and would be the key 0 or 1


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag and its value, where the caller allowed that tag."""

    tag: int
    value: Any


def decode(
    data: bytes,
    *,
    field: str,
    base: int = 0,
    tags: frozenset[int] = frozenset(),
    allow_indefinite_map: bool = False,
    most: int = MAX_ITEMS,
) -> Any:
    """The one value that `data` is.

    Args:
        data: the encoded value and nothing else.
        field: name of the whole, for errors.
        base: offset of `data` in the file, for errors.
        tags: tags that may appear; each comes back as `Tagged`.
        allow_indefinite_map: whether the outermost value may be an indefinite-length map.
        most: items that all arrays and maps may have together; reading takes time by them, not by bytes.

    Returns:
        int, bytes, str, list, dict, bool, None or `Tagged`.

    Raises:
        Malformed: anything else.
    """
    decoder = _Decoder(data, field=field, base=base, tags=tags, most=most)
    value = decoder.item(0, indefinite_map=allow_indefinite_map)
    decoder.finish()
    return value


def encode(value: Any) -> bytes:
    """Canonical CBOR (RFC 8949 section 4.2.1: shortest forms, keys sorted bytewise)."""
    return encode_in_order(_sorted(value))


def encode_in_order(value: Any) -> bytes:
    """Shortest forms with the caller's map order, as the NSM and COSE writers keep it."""
    import cbor2  # here, so that reading needs no library

    return cbor2.dumps(value)


def _sorted(value: Any) -> Any:
    """Keys by their encoded bytes; the library's own canonical form sorts by length first (RFC 7049)."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=encode_in_order)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value


class _Decoder:
    __slots__ = ("_base", "_containers", "_data", "_field", "_left", "_pos", "_size", "_tags")

    def __init__(
        self, data: bytes, *, field: str, base: int, tags: frozenset[int], most: int
    ) -> None:
        self._left = most
        self._data = data
        self._size = len(data)
        self._field = field
        self._base = base
        self._tags = tags
        self._pos = 0
        self._containers = 0

    def _fail(self, message: str, at: int | None = None) -> Malformed:
        return Malformed(
            message, field=self._field, offset=self._base + (self._pos if at is None else at)
        )

    def finish(self) -> None:
        if self._pos != len(self._data):
            raise self._fail(f"{len(self._data) - self._pos} bytes follow the value")

    def _take(self, size: int) -> bytes:
        start = self._pos
        end = start + size
        if end > self._size:
            raise self._fail(f"needs {size} bytes, {len(self._data) - start} are left")
        self._pos = end
        return self._data[start:end]

    def _argument(self, info: int, start: int) -> int:
        """The head's argument where bytes follow for it, in its shortest form only."""
        if info > 27:
            raise self._fail("indefinite or reserved length", start)
        width = 1 << (info - _SHORT)
        digits = self._take(width)
        value = digits[0] if width == 1 else int.from_bytes(digits, "big")
        if value < (_SHORT if width == 1 else 1 << (4 * width)):
            raise self._fail(f"{value} is not in its shortest form", start)
        return value

    def item(self, depth: int, *, indefinite_map: bool = False) -> Any:
        if depth > MAX_DEPTH:
            raise self._fail(f"nested deeper than {MAX_DEPTH}")
        start = self._pos
        if start >= self._size:
            raise self._fail("ends where a value should begin")
        head = self._data[start]
        self._pos = start + 1
        if head < _SHORT:  # the frequent kinds first
            return head
        major, info = head >> 5, head & 0x1F
        if major == 7:
            return self._simple(info, start)
        if head == 0xBF and indefinite_map:
            return self._map(None, depth)
        argument = info if info < _SHORT else self._argument(info, start)
        if major == 2:
            return self._take(argument)
        if major == 3:
            return self._text(argument, start)
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        return self._container(major, argument, depth, start)

    def _container(self, major: int, argument: int, depth: int, start: int) -> Any:
        self._containers += 1
        if self._containers > MAX_CONTAINERS:
            raise self._fail(f"more than {MAX_CONTAINERS} arrays and maps", start)
        if major == 5:
            return self._map(argument, depth)
        if major == 4:
            return self._array(argument, depth)
        return self._tag(argument, depth, start)

    def _simple(self, info: int, start: int) -> bool | None:
        if info not in _SIMPLE:
            raise self._fail("a float, break or unknown simple value", start)
        return _SIMPLE[info]

    def _text(self, size: int, start: int) -> str:
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise self._fail("text is not UTF-8", start) from None

    def _array(self, count: int, depth: int) -> list[Any]:
        self._plausible(count, 1)
        return [self.item(depth + 1) for _ in range(count)]

    def _map(self, count: int | None, depth: int) -> dict[Any, Any]:
        if count is not None:
            self._plausible(count, 2)
        result: dict[Any, Any] = {}
        below = depth + 1
        while len(result) != count:
            start = self._pos
            if count is None and self._data[start : start + 1] == b"\xff":
                self._pos = start + 1
                break
            key = self.item(below)
            if type(key) not in _KEYS:
                raise self._fail("a map key that is neither integer, text nor bytes", start)
            if key in result:
                raise self._fail(f"duplicate key {key!r:.60}", start)
            result[key] = self.item(below)
        return result

    def _tag(self, tag: int, depth: int, start: int) -> Tagged:
        if tag not in self._tags:
            raise self._fail(f"unexpected tag {tag}", start)
        return Tagged(tag, self.item(depth + 1))

    def _plausible(self, count: int, each: int) -> None:
        """Each item takes a byte at least: refuse huge counts before making room for them."""
        items = count * each
        self._left -= count
        if self._left < 0:
            raise self._fail(f"has {-self._left} items too many")
        if items > len(self._data) - self._pos:
            raise self._fail(f"{items} items cannot fit in {len(self._data) - self._pos} bytes")
