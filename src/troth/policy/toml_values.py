"""Values of policy documents: read strictly, and written so that they read back."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from troth.errors import Misuse

_SPAN: Final = re.compile(r"(0|[1-9][0-9]{0,11})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def only(table: dict[str, Any], known: Iterable[str], where: str) -> None:
    """Refuses what nobody knows.

    Raises:
        Misuse: the table has a key that is not known.
    """
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise Misuse(
            f"{where}: unknown {', '.join(map(repr, unknown))}; known are {', '.join(sorted(known))}"
        )


def strings(value: Any, where: str) -> list[str]:
    """A list of strings.

    Raises:
        Misuse: it is another thing.
    """
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Misuse(f"{where} should be a list of strings")
    return value


def span(value: Any, where: str) -> timedelta:
    """A time such as '90s', '5m', '72h' or '3d'.

    Raises:
        Misuse: it is another thing, or longer than any.
    """
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Misuse(f"{where} should be like '90s', '5m', '72h' or '3d'")
    try:
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise Misuse(f"{where} is longer than any time") from None


def quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 or c in '"\\' else c for c in text
    )
    return f'"{escaped}"'


def array(items: Iterable[str]) -> str:
    """A TOML array of strings."""
    return "[" + ", ".join(quoted(item) for item in items) + "]"
