"""Which of two Debian versions is the later one: the rules of deb-version(7), as dpkg has them."""

import re
from functools import cmp_to_key, total_ordering
from itertools import zip_longest
from typing import Final

from troth.errors import Malformed

_WHOLE: Final = re.compile(r"(?:(\d{1,9}):)?(\d[A-Za-z0-9.+~-]*?)(?:-([A-Za-z0-9.+~]+))?")
_PARTS: Final = re.compile(r"(\D*)(\d*)")
_MOST: Final = 1000


@total_ordering
class DebianVersion:
    """A version that compares as dpkg compares it: `1.0~rc1` before `1.0` before `1.0-1` before `1:0.9`.

    Raises:
        Malformed: no version of Debian's.
    """

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        match = _WHOLE.fullmatch(text) if len(text) <= _MOST and text.isascii() else None
        if match is None or (match[3] is None and "-" in match[2]):
            raise Malformed(f"{text[:60]!r} is no version of Debian's", field="version")
        self._key = (int(match[1] or 0), _PIECE(match[2]), _PIECE(match[3] or ""))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebianVersion) and self._key == other._key

    def __lt__(self, other: "DebianVersion") -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key[0])


def _compare(one: str, other: str) -> int:
    """Runs of letters and runs of digits by turns; letters by `_order`, numbers as numbers."""
    runs = zip_longest(_PARTS.findall(one), _PARTS.findall(other), fillvalue=("", ""))
    for (letters, digits), (letters2, digits2) in runs:
        for a, b in zip_longest(letters, letters2, fillvalue=""):
            if _order(a) != _order(b):
                return _order(a) - _order(b)
        if int(digits or 0) != int(digits2 or 0):
            return int(digits or 0) - int(digits2 or 0)
    return 0


def _order(letter: str) -> int:
    """A tilde is before the end, which is empty; letters are before everything else."""
    if letter in ("", "~"):
        return -1 if letter else 0
    return ord(letter) if letter.isalpha() else ord(letter) + 256


_PIECE: Final = cmp_to_key(_compare)
