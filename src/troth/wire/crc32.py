"""CRC-32 of data whose parts' sums are known: as zlib's `crc32_combine`, which Python does not have.

The sum of bytes is a remainder modulo the polynomial of RFC 1952, its bits reflected. Bytes that follow
multiply it by a power of x.
"""

from functools import cache
from typing import Final

_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31
_X: Final = 1 << 30


def joined(first: int, second: int, size: int) -> int:
    """The sum of two parts, one behind the other.

    Args:
        first: sum of the first.
        second: sum of the second.
        size: of the second, in bytes.
    """
    moved, left, exponent = first, size * 8, 0
    while left:
        if left & 1:
            moved = _times(moved, _power(exponent))
        left >>= 1
        exponent += 1
    return moved ^ second


@cache
def _power(exponent: int) -> int:
    """The power of x whose exponent is 2 to the `exponent`."""
    if exponent == 0:
        return _X
    root = _power(exponent - 1)
    return _times(root, root)


def _times(first: int, second: int) -> int:
    """The product of two remainders."""
    product = 0
    bit = _ONE
    while bit:
        if first & bit:
            product ^= second
        second = second >> 1 ^ (_POLYNOMIAL if second & 1 else 0)
        bit >>= 1
    return product
