"""Certificates as PEM: text of one form for the DER in it."""

from collections.abc import Iterable

from fuzz.simulated import intel
from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.trust.served import to_pem
from troth.wire import x509


def _run(data: bytes) -> None:
    found = x509.read_pem(data, "certificates")
    again = b"".join(to_pem(der) for der in found)
    must(x509.read_pem(again, "certificates") == found, "PEM written again reads otherwise")


def _seeds() -> Iterable[bytes]:
    yield b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    yield intel().root.pem + intel().signer.pem
    yield from vectors("sgx/*.pem", "snp/certs/*.pem", "azure/*.pem")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=(b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n", b"\r\n", b"=", b"\0"),
)
