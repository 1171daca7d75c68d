"""The SGX extension in a PCK certificate: the extension's bytes are the input."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from fuzz.simulated import intel
from fuzz.target import Target
from fuzz.vectors import vectors
from troth.errors import Malformed
from troth.platforms.dcap import pck, quote
from troth.wire import x509


@cache
def _certificate() -> x509.Certificate:
    return x509.read(intel().machine.leaf.der)


def _run(data: bytes) -> None:
    pck.read(replace(_certificate(), extensions={pck.EXTENSION: data}))


def _seeds() -> Iterable[bytes]:
    for machine in (intel().machine, intel().new_machine(processor=True)):
        yield x509.read(machine.leaf.der).extensions[pck.EXTENSION]
    for data in vectors("sgx/*.quote.bin", "tdx/*.quote.bin"):
        try:
            chain = quote.parse(data).pck_chain
            if chain:
                yield x509.read(chain[0]).extensions[pck.EXTENSION]
        except Malformed:
            continue


TARGET = Target(run=_run, seeds=_seeds, longest=2048, words=(b"\x30\x80", b"\x30\x82", b"\x02\x01"))
