"""The attestation document of a Nitro enclave, in and out of its framing."""

from collections.abc import Iterable

from fuzz.simulated import nitro_case
from fuzz.target import Target
from fuzz.vectors import vectors
from troth.platforms.nitro import format as nitro


def _run(data: bytes) -> None:
    found = nitro.unwrap(data)
    list(nitro.fields(data if found is None else found[0]))


def _seeds() -> Iterable[bytes]:
    yield nitro_case().evidence
    yield from vectors("nitro/*.bin", "nitro/*.b64", "nitro/*.cbor", "nitro/*.cose")


TARGET = Target(
    run=_run, seeds=_seeds, longest=24 * 1024, words=(b"\xf6", b"\xbf", b"\xff", b"pcrs")
)
