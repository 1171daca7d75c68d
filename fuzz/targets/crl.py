"""Revocation lists."""

from collections.abc import Iterable

from fuzz.simulated import NOW, intel, processor
from fuzz.target import Target
from fuzz.vectors import vectors
from troth.platforms.snp.product import Product
from troth.wire import crl


def _run(data: bytes) -> None:
    found = crl.read(data)
    found.revokes(1)
    _ = found.revoked


def _seeds() -> Iterable[bytes]:
    pki = intel()
    yield pki.root_crl().data
    yield pki.pck_crl(revoked=[pki.signer, pki.machine.leaf]).data
    yield processor(Product.MILAN).pki.crl(NOW)
    yield from vectors("sgx/*.der", "tdx/*.der")


TARGET = Target(
    run=_run, seeds=_seeds, longest=8192, words=(b"\x30\x80", b"\x17\x0d", b"\x18\x0f", b"\x02\x01")
)
