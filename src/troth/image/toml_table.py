"""Tables of a recipe: every key is known, of one type, and taken once."""

import difflib
from typing import Any, Final

from troth.errors import Misuse


class Table:
    """One table of the document: each key is taken once, and what is left at the end is unknown."""

    def __init__(self, value: object, name: str) -> None:
        if not isinstance(value, dict):
            raise Misuse(f"troth.toml: {name} is {kind(value)}, and must be a table")
        self._left: dict[str, Any] = dict(value)
        self._known: list[str] = []
        self._name = name

    def path(self, key: str) -> str:
        """The key's whole name."""
        return f"{self._name}.{key}" if self._name else key

    def take(self, key: str, wanted: type, default: Any) -> Any:
        """The value of a key, of exactly this type; `...` as default makes it required."""
        self._known.append(key)
        value = self._left.pop(key, default)
        if value is ...:
            raise Misuse(f"troth.toml: {self.path(key)} is missing", fix=f"add `{key} = …`")
        if value is not default and type(value) is not wanted:
            raise Misuse(
                f"troth.toml: {self.path(key)} is {kind(value)}, and must be {_KINDS[wanted]}"
            )
        return value

    def raw(self, key: str) -> Any:
        """The value of a key, of any type; None where it is absent."""
        self._known.append(key)
        return self._left.pop(key, None)

    def names(self, key: str, default: Any = ()) -> tuple[str, ...]:
        """A list of texts, without repetition."""
        values = self.take(key, list, default)
        for value in values:
            if not isinstance(value, str):
                raise Misuse(
                    f"troth.toml: {self.path(key)} holds {kind(value)}, and must hold texts"
                )
        return tuple(values)

    def table(self, key: str) -> "Table":
        """The table of a key, empty where it is absent."""
        return Table(self.take(key, dict, {}), self.path(key))

    def left(self) -> tuple[str, ...]:
        """Keys that nobody took."""
        return tuple(self._left)

    def end(self) -> None:
        """Asserts that every key was taken.

        Raises:
            Misuse: one is left; the nearest that is known is named.
        """
        for key in self._left:
            near = difflib.get_close_matches(key, self._known, n=1, cutoff=0.5)
            known = ", ".join(self.path(name) for name in sorted(self._known))
            raise Misuse(
                f"troth.toml: {self.path(key)} is not a key",
                fix=f"did you mean {self.path(near[0])}?" if near else f"the keys here are {known}",
            )


_KINDS: Final = {
    str: "a text",
    int: "a whole number",
    list: "a list",
    dict: "a table",
    bool: "true or false",
}


def kind(value: object) -> str:
    """What a value is, in words."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")
