"""Python's marshal format, read without running it: what bytecode files of Python 3.11 and later hold.

`marshal.loads` is not made for hostile bytes, and knows the form of its own version alone.
"""

from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed
from troth.wire.reader import Reader

_DEEPEST: Final = 100
_MOST: Final = 1_000_000
_FLAG: Final = 0x80
_SINGLE: Final = {"N": "None", "T": "True", "F": "False", ".": "...", "S": "StopIteration"}
_LONG_TEXTS: Final = "stuaA"  # bytes and four kinds of text, their length in four bytes
_SHORT_TEXTS: Final = "zZ"
_GROUPS: Final = {"(": "tuple", "[": "list", "<": "set", ">": "frozenset"}
_NUMBERS: Final = (
    "argument count", "positional-only count", "keyword-only count", "stack size", "flags",
)  # fmt: skip
_FIELDS: Final = (
    "bytecode", "constants", "names", "local names", "kinds of locals", "file name", "name",
    "qualified name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plain:
    """A value with no parts: its kind, and its bytes or text."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Group:
    """Several values in their order; of a dictionary keys and values in turn."""

    kind: str
    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A code object: its fields by name, in the order of the format."""

    fields: dict[str, Any]

    @property
    def name(self) -> str:
        """Its qualified name, for messages."""
        found = self.fields["qualified name"]
        return str(found.value) if isinstance(found, Plain) else "?"


class _Values:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._reader = Reader(data)
        self._seen: list[Any] = []
        self._count = 0

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self._reader.take(size, "number"), "little")

    def end(self) -> None:
        self._reader.end("bytecode")

    def value(self, depth: int = 0) -> Any:
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST:
            raise Malformed("is nested too deep, or has too many values", field="bytecode")
        byte = self.number(1)
        kind = chr(byte & ~_FLAG)
        place = None
        if byte & _FLAG and kind != "r":
            place = len(self._seen)
            self._seen.append(Plain("reference", "to what is being read"))
        found = self._of(kind, depth)
        if place is not None:
            self._seen[place] = found
        return found

    def _of(self, kind: str, depth: int) -> Any:
        if kind in _SINGLE:
            return Plain(_SINGLE[kind], None)
        if kind in _GROUPS or kind == ")":
            count = self.number(1) if kind == ")" else self.number()
            return self._group(_GROUPS.get(kind, "tuple"), count, depth)
        match kind:
            case ":":
                return self._group("slice", 3, depth)
            case "{":
                return self._pairs(depth)
            case "c":
                return self._code(depth)
            case "r":
                return self._reference()
        return self._plain(kind)

    def _reference(self) -> Any:
        number = self.number()
        if number >= len(self._seen):
            raise Malformed("refers to what is not there", field="bytecode")
        return self._seen[number]

    def _plain(self, kind: str) -> Plain:
        if kind == "i":
            return Plain("int", int.from_bytes(self._reader.take(4, "int"), "little", signed=True))
        if kind == "l":
            count = int.from_bytes(self._reader.take(4, "int"), "little", signed=True)
            return Plain("int", (count, self._reader.take(2 * abs(count), "digits")))
        if kind in "gy":
            return Plain("float", self._reader.take(8 if kind == "g" else 16, "float"))
        if kind in _LONG_TEXTS or kind in _SHORT_TEXTS:
            data = self._reader.take(self.number(1 if kind in _SHORT_TEXTS else 4), "text")
            if kind == "s":
                return Plain("bytes", data)
            return Plain("str", data.decode("utf-8", "replace"))
        raise Malformed(f"has a value of the kind {kind!r}", field="bytecode")

    def _group(self, kind: str, count: int, depth: int) -> Group:
        # Each takes a byte at least, so the data's end stops a lie.
        return Group(kind, tuple([self.value(depth + 1) for _ in range(count)]))

    def _pairs(self, depth: int) -> Group:
        items: list[Any] = []
        while True:
            if self._data[self._reader.offset : self._reader.offset + 1] == b"0":
                self._reader.take(1, "end")
                return Group("dict", tuple(items))
            items += [self.value(depth + 1), self.value(depth + 1)]

    def _code(self, depth: int) -> Code:
        fields: dict[str, Any] = {name: self.number() for name in _NUMBERS}
        fields |= {name: self.value(depth + 1) for name in _FIELDS}
        fields["first line"] = self.number()
        fields |= {name: self.value(depth + 1) for name in ("line table", "exception table")}
        return Code(fields)


def read(data: bytes) -> Any:
    """The value that these bytes are.

    Raises:
        Malformed: they end early or late, nest too deep, or hold a kind that is not known.
    """
    values = _Values(data)
    found = values.value()
    values.end()
    return found
