"""A bounded reader: a short read is `Malformed` with the field's name and offset, never an IndexError."""

from typing import Literal

from troth.errors import Malformed


class Reader:
    """Walks over bytes from front to back, naming each field it takes.

    Args:
        data: the whole input; never copied.
        base: offset of `data` in the file it came from, so that errors point into that file.
        at: where in `data` the first field begins.
    """

    __slots__ = ("_base", "_data", "_pos")

    def __init__(self, data: bytes | memoryview, *, base: int = 0, at: int = 0) -> None:
        self._data = data
        self._pos = at
        self._base = base

    @property
    def offset(self) -> int:
        """Where the next field begins, counted in the original file."""
        return self._base + self._pos

    @property
    def remaining(self) -> int:
        """Bytes not yet taken."""
        return len(self._data) - self._pos

    def take(self, size: int, field: str) -> bytes:
        """The next `size` bytes.

        Raises:
            Malformed: fewer bytes are left.
        """
        start = self._pos
        end = start + size
        if size < 0 or end > len(self._data):
            raise Malformed(
                f"needs {size} bytes, {self.remaining} are left", field=field, offset=self.offset
            )
        self._pos = end
        return bytes(self._data[start:end])

    def uint(self, size: int, field: str, order: Literal["big", "little"] = "big") -> int:
        """An unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size, field), order)

    def end(self, field: str) -> None:
        """Asserts that nothing is left.

        Raises:
            Malformed: bytes follow; one encoding only.
        """
        if self.remaining:
            raise Malformed(f"{self.remaining} bytes follow", field=field, offset=self.offset)
