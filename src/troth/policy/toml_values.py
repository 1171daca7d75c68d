"""Values of policy documents: read strictly, and written so that they read back."""

from collections.abc import Iterable
from typing import Any

from troth.errors import Misuse


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


def quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 or c in '"\\' else c for c in text
    )
    return f'"{escaped}"'


def array(items: Iterable[str]) -> str:
    """A TOML array of strings."""
    return "[" + ", ".join(quoted(item) for item in items) + "]"
