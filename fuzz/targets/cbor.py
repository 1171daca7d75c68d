"""CBOR: one encoding for each value that is read."""

from collections.abc import Iterable

from fuzz.simulated import nitro_case
from fuzz.target import Target, attempt, same
from troth.wire import cbor, cose

_TAGS = frozenset({18})


def _run(data: bytes) -> None:
    attempt(lambda d: cbor.decode(d, field="f", tags=_TAGS, allow_indefinite_map=True), data)
    value = cbor.decode(data, field="f")
    same(cbor.encode_in_order(value), data, "a value written again")


def _seeds() -> Iterable[bytes]:
    yield cose.parse_sign1(nitro_case().evidence).payload
    yield cbor.encode({"a": [1, -1, 2**64 - 1, -(2**64), True, False, None, b"b", "t", {}, []]})
    yield cbor.encode({1: {b"k": {"deep": [[[[1]]]]}}})
    yield b"\xd2\x84\x40\xa0\x40\x40"
    yield b"\xbf\x61a\x01\xff"


TARGET = Target(
    run=_run, seeds=_seeds, longest=8192, words=(b"\xbf", b"\xff", b"\x1b" + b"\xff" * 8)
)
