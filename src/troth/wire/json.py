"""Strict JSON: no duplicate keys, no NaN, bounded; and one canonical form to hash and sign.

The canonical form is RFC 8785 for what we allow in it: objects, arrays, strings, integers within
±2^53, booleans and null. Floats are refused, so number formatting has one way only.
"""

import json
from typing import Any, Final

from troth.errors import Malformed, Misuse

MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_INT: Final = 2**53


def parse(data: bytes | str, *, field: str, limit: int = MAX_BYTES) -> Any:
    """The value of a JSON text.

    Raises:
        Malformed: not UTF-8, not JSON, a duplicate key, NaN or Infinity, nested too deep, too large.
    """
    if len(data) > limit:
        raise Malformed(f"is larger than {limit} bytes", field=field)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise Malformed(f"has the key {twice!r} twice", field=field)
        return result

    def constant(name: str) -> Any:
        raise Malformed(f"has {name}, which is not JSON", field=field)

    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except UnicodeDecodeError as error:
        raise Malformed("is not UTF-8", field=field, offset=error.start) from None
    except json.JSONDecodeError as error:
        raise Malformed(f"is not JSON: {error.msg}", field=field, offset=error.pos) from None
    except (RecursionError, ValueError):
        raise Malformed("is nested too deep or holds too long a number", field=field) from None


def canonical(value: Any) -> bytes:
    """The one encoding of a value (RFC 8785 without floats).

    Raises:
        Misuse: a float, an integer past ±2^53, text with half a surrogate pair, a key that is not
            text, or another type.
    """
    _check(value)
    ordered = _sorted(value)
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8"
    )


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
