"""Quotes of SGX and TDX: what is read is all there is."""

from collections.abc import Iterable

from fuzz.simulated import intel, quote_cases
from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.platforms import sgx, tdx
from troth.platforms.dcap import quote


def _run(data: bytes) -> None:
    for platform in (sgx.PLATFORM, tdx.PLATFORM):
        found = platform.unwrap(data)
        if found is not None:
            document = platform.parse(found[0])
            platform.claims(document, None)
            list(platform.fields(found[0]))
    read = quote.parse(data)
    head = read.signed + (len(data) - len(read.signed) - 4).to_bytes(4, "little")
    head += read.signature + read.attestation_key
    if read.version > 3:
        head += (6).to_bytes(2, "little") + (len(data) - len(head) - 6).to_bytes(4, "little")
    head += read.qe_body + read.qe_signature + len(read.qe_auth).to_bytes(2, "little")
    head += read.qe_auth + read.certification.to_bytes(2, "little")
    head += (len(data) - len(head) - 4).to_bytes(4, "little")
    must(data.startswith(head), "a quote that was read is not what its parts make")


def _seeds() -> Iterable[bytes]:
    pki = intel()
    yield from (case.evidence for case in quote_cases())
    yield from (pki.quote(certification=kind) for kind in (1, 2, 3, 4, 7))
    yield quote_cases()[0].evidence.hex().encode()
    yield from vectors("sgx/*.quote.bin", "tdx/*.quote.bin", "sgx/*.dat", "tdx/*.dat")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=(b"\x05\0\x03\0", b"\x81\0\0\0", b"-----BEGIN CERTIFICATE-----\n", b"\0" * 16),
)
