"""COSE_Sign1: one encoding, tagged or not."""

from collections.abc import Iterable

from fuzz.simulated import nitro_case
from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.wire import cbor, cose


def _run(data: bytes) -> None:
    found = cose.parse_sign1(data)
    again = cbor.encode_in_order([found.protected, {}, found.payload, found.signature])
    must(data in (again, b"\xd2" + again), "an envelope written again is another")
    at = found.payload_offset
    must(data[at : at + len(found.payload)] == found.payload, "the payload is not where it is said")


def _seeds() -> Iterable[bytes]:
    yield nitro_case().evidence
    yield b"\xd2" + nitro_case().evidence
    yield cbor.encode([cbor.encode({1: -35}), {}, b"payload", bytes(96)])
    yield cbor.encode([cbor.encode({1: -7}), {}, b"", b""])
    yield from vectors("nitro/*.bin", "nitro/*.cose", "nitro/*.cbor")


TARGET = Target(run=_run, seeds=_seeds, longest=8192, words=(b"\xd2\x84", b"\xa1\x01\x38\x22"))
