"""Strict JSON: no duplicate keys, whole numbers only, bounded; and one canonical form to hash and sign.

The canonical form is RFC 8785 for what we allow in it: objects, arrays, strings, integers within
±2^53, booleans and null. Floats are refused in both directions: nothing of ours needs one, `1e400` would
be read as infinite, and number formatting has one way only.
"""

import json
from collections import Counter
from typing import Any, Final

from troth.errors import Malformed, Misuse

MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_INT: Final = 2**53
_MAX_DIGITS: Final = len(str(-_MAX_INT))


def parse(data: bytes | str, *, field: str, limit: int = MAX_BYTES) -> Any:
    """The value of a JSON text.

    Raises:
        Malformed: not UTF-8, not JSON, a duplicate key, a number that is no integer within ±2^53, nested
            too deep, too large.
    """
    if len(data) > limit:
        raise Malformed(f"is larger than {limit} bytes", field=field)

    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise Malformed("is not UTF-8", field=field, offset=error.start) from None
    except json.JSONDecodeError as error:
        raise Malformed(f"is not JSON: {error.msg}", field=field, offset=error.pos) from None
    except RecursionError:
        raise Malformed("is nested too deep", field=field) from None
    except _RefusedError as error:
        raise Malformed(str(error), field=field) from None


class _RefusedError(Exception):
    """What the library's reader would let pass; whoever reads the text names the field."""


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(items)
    if len(result) != len(items):
        # In one pass: whoever writes the text chooses how many names come before that one.
        ((twice, _),) = Counter(name for name, _ in items).most_common(1)
        raise _RefusedError(f"has the key {twice!r} twice")
    return result


def _constant(name: str) -> Any:
    raise _RefusedError(f"has {name}, which is not JSON")


def _fraction(digits: str) -> Any:
    raise _RefusedError(f"has {digits:.30}, which should be a whole number")


def _integer(digits: str) -> int:
    # Its length comes first: the time to read it grows with the square of the digits.
    if len(digits) > _MAX_DIGITS or abs(int(digits)) > _MAX_INT:
        raise _RefusedError(f"has {digits:.30}, which is past ±2^53")
    return int(digits)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_constant=_constant,
    parse_float=_fraction,
    parse_int=_integer,
)


def canonical(value: Any) -> bytes:
    """The one encoding of a value (RFC 8785 without floats).

    Raises:
        Misuse: a float, an integer past ±2^53, text with half a surrogate pair, a key that is not
            text, another type, or nested too deep.
    """
    try:
        _check(value)
        ordered = _sorted(value)
        text = json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise Misuse("a value is nested too deep") from None
    return text.encode("utf-8")


def _check(value: Any) -> None:
    match value:
        case None | bool():
            return
        case str():
            _check_text(value)
        case int():
            if abs(value) > _MAX_INT:
                raise Misuse(f"{value} has no exact JSON form")
        case list() | tuple():
            for item in value:
                _check(item)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise Misuse(f"a JSON key must be text, not {key!r}")
                _check_text(key)
                _check(item)
        case _:
            raise Misuse(f"{type(value).__name__} has no canonical JSON form here")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Misuse("text with half a surrogate pair has no UTF-8 form") from None


def _sorted(value: Any) -> Any:
    """Keys in RFC 8785's order: by UTF-16 code units."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return {key: _sorted(value[key]) for key in keys}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value
