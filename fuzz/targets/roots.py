"""Roots that a caller adds, as PEM."""

from collections.abc import Iterable

from fuzz.simulated import intel, processor
from fuzz.target import Target
from fuzz.vectors import vectors
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate_pki import to_pem
from troth.trust import parse_roots, scoped


def _run(data: bytes) -> None:
    parse_roots(data, source="roots")


def _seeds() -> Iterable[bytes]:
    yield intel().root.pem
    yield to_pem(processor(Product.MILAN).pki.ark)
    yield scoped(intel().root.pem, "sgx") + scoped(intel().root.pem, "")
    yield from vectors("sgx/*Root*.pem", "snp/certs/ark-*.pem")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=8192,
    words=(b"-----BEGIN CERTIFICATE-----\n", b"=", b"# platform: nitro\n"),
)
