"""Protocol buffers, as far as evidence uses them: fields by number, nothing else.

Source: the encoding page of protobuf.dev. Refused: groups, numbers that are not in their shortest form,
more fields than any evidence has. Whoever reads decides what a field means and how often it may stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.wire.reader import Reader

MAX_FIELDS: Final = 4096
_MAX_VARINT: Final = 10
_FIXED: Final = {1: 8, 5: 4}
_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, its value (numbers as they are, bytes and fixed sizes as bytes)."""

    number: int
    value: int | bytes


class Message:
    """The fields of a message, by number.

    Args:
        data: the message and nothing else.
        name: for errors.
        base: offset of `data` in the file, for errors.

    Raises:
        Malformed: it is no message, or has too many fields.
    """

    __slots__ = ("_fields", "_name")

    def __init__(self, data: bytes, *, name: str, base: int = 0) -> None:
        self._name = name
        self._fields: dict[int, list[int | bytes]] = {}
        for count, field in enumerate(_read(data, name, base)):
            if count == MAX_FIELDS:
                raise Malformed(f"has more than {MAX_FIELDS} fields", field=name, offset=base)
            self._fields.setdefault(field.number, []).append(field.value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def every(self, number: int) -> tuple[bytes, ...]:
        """The values of a repeated field of bytes.

        Raises:
            Malformed: one of them is a number.
        """
        found = self._fields.get(number, ())
        values = tuple(value for value in found if isinstance(value, bytes))
        if len(values) != len(found):
            raise Malformed(f"has a number in field {number}", field=self._name)
        return values

    def bytes(self, number: int) -> bytes:
        """The value of a field of bytes; empty where it does not stand.

        Raises:
            Malformed: it stands twice, or is a number.
        """
        found = self.every(number)
        if len(found) > 1:
            raise Malformed(f"has field {number} {len(found)} times", field=self._name)
        return found[0] if found else b""

    def number(self, number: int) -> int:
        """The value of a field of a number; 0 where it does not stand.

        Raises:
            Malformed: it stands twice, or is no number.
        """
        found = self._fields.get(number, [0])
        if len(found) != 1 or not isinstance(found[0], int):
            raise Malformed(f"has no single number in field {number}", field=self._name)
        return found[0]


def _read(data: bytes, name: str, base: int) -> Iterator[Field]:
    reader = Reader(data, base=base)
    while reader.remaining:
        where = reader.offset
        key = _varint(reader, name)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise Malformed("has a field of number 0", field=name, offset=where)
        if kind == 0:
            yield Field(number, _varint(reader, name))
        elif kind == _BYTES:
            yield Field(number, reader.take(_varint(reader, name), f"{name}, field {number}"))
        elif kind in _FIXED:
            yield Field(number, reader.take(_FIXED[kind], f"{name}, field {number}"))
        else:
            raise Malformed(f"has a field of type {kind}", field=name, offset=where)


def _varint(reader: Reader, name: str) -> int:
    where = reader.offset
    value = 0
    for index in range(_MAX_VARINT):
        byte = reader.uint(1, name)
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if (byte == 0 and index) or value >= 1 << 64:
                raise Malformed("has a number not in its one form", field=name, offset=where)
            return value
    raise Malformed("has a number that does not end", field=name, offset=where)
