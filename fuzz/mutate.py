"""Changes to bytes, drawn from a seeded generator: the fuzzer's own means, where there is no libFuzzer."""

import random
from collections.abc import Callable, Sequence

MOST_STEPS = 5
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_WIDTHS = (1, 1, 2, 2, 4, 4, 8)


def mutant(
    data: bytes,
    draw: random.Random,
    *,
    others: Sequence[bytes],
    words: Sequence[bytes],
    longest: int,
) -> bytes:
    """Bytes like these, with one to `MOST_STEPS` changes, never longer than `longest`.

    Args:
        data: what is changed.
        draw: where chance comes from.
        others: what parts are taken from.
        words: what is put in whole.
        longest: a limit in bytes.
    """
    changed = bytearray(data)
    for _ in range(1 + min(int(draw.expovariate(0.8)), MOST_STEPS - 1)):
        draw.choice(_STEPS)(changed, draw, others, words)
    return bytes(changed[:longest])


_Step = Callable[[bytearray, random.Random, Sequence[bytes], Sequence[bytes]], None]


def _place(data: bytearray, draw: random.Random) -> int:
    return int(draw.random() * len(data))


def _flip(data: bytearray, draw: random.Random, *_: Sequence[bytes]) -> None:
    if data:
        data[_place(data, draw)] ^= 1 << draw.randrange(8)


def _set(data: bytearray, draw: random.Random, *_: Sequence[bytes]) -> None:
    if data:
        data[_place(data, draw)] = draw.randrange(256)


def _number(data: bytearray, draw: random.Random, *_: Sequence[bytes]) -> None:
    """A number of some width becomes an edge of it, the length, or itself and a little."""
    width, order = draw.choice(_WIDTHS), "little" if draw.random() < 0.5 else "big"
    if len(data) < width:
        return
    at = draw.randrange(len(data) - width + 1)
    here = int.from_bytes(data[at : at + width], order)  # type: ignore[arg-type]
    value = draw.choice((draw.choice(_EDGES), len(data), here + draw.randint(-16, 16)))
    data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]


def _insert(data: bytearray, draw: random.Random, *_: Sequence[bytes]) -> None:
    at = _place(data, draw)
    data[at:at] = draw.randbytes(draw.choice((1, 1, 2, 4, 16)))


def _delete(data: bytearray, draw: random.Random, *_: Sequence[bytes]) -> None:
    at = _place(data, draw)
    del data[at : at + _length(draw)]


def _repeat(data: bytearray, draw: random.Random, *_: Sequence[bytes]) -> None:
    at, to = _place(data, draw), _place(data, draw)
    data[to:to] = data[at : at + _length(draw)]


def _overwrite(data: bytearray, draw: random.Random, *_: Sequence[bytes]) -> None:
    at, to = _place(data, draw), _place(data, draw)
    part = data[at : at + _length(draw)]
    data[to : to + len(part)] = part


def _cut(data: bytearray, draw: random.Random, *_: Sequence[bytes]) -> None:
    if draw.random() < 0.3:
        del data[_place(data, draw) :]


def _splice(
    data: bytearray, draw: random.Random, others: Sequence[bytes], _: Sequence[bytes]
) -> None:
    other = draw.choice(others)
    at, begin = _place(data, draw), int(draw.random() * len(other))
    data[at : at + draw.choice((0, _length(draw)))] = other[begin : begin + _length(draw)]


def _word(data: bytearray, draw: random.Random, _: Sequence[bytes], words: Sequence[bytes]) -> None:
    if words:
        at, word = _place(data, draw), draw.choice(words)
        data[at : at + draw.choice((0, len(word)))] = word


def _length(draw: random.Random) -> int:
    return draw.choice((1, 2, 4, 8, 24, 100, 600))


_STEPS: tuple[_Step, ...] = (
    *(_flip, _flip, _set, _number, _number, _insert, _delete),
    *(_repeat, _overwrite, _cut, _splice, _word),
)
