"""Files of collateral: troth's own, another verifier's, and what vendors serve."""

from collections.abc import Iterable

from fuzz.simulated import NOW, intel, processor
from fuzz.target import Target, same
from fuzz.targets.tcb_info import WORDS
from fuzz.vectors import vectors
from troth.model.collateral import Collateral
from troth.platforms.snp.product import Product
from troth.trust.collateral import freeze, load


def _run(data: bytes) -> None:
    frozen = freeze(load(data))
    same(freeze(load(frozen)), frozen, "collateral frozen again")


def _seeds() -> Iterable[bytes]:
    items = intel().collateral().items
    for item in items:
        yield item.data
        yield freeze(Collateral(items=(item,)))
    yield from (intel().root.pem, intel().machine.leaf.pem)
    chip = processor(Product.MILAN)
    for item in chip.collateral(NOW).items:
        yield item.data
        yield freeze(Collateral(items=(item,)))
    yield freeze(Collateral(items=()))
    yield from vectors("sgx/collateral/*.json", "sgx/*.der", "snp/certs/*.pem", "snp/certs/*.der")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=48 * 1024,
    words=(*WORDS, b'"pck_crl":', b'"tcb_info":', b"-----BEGIN X509 CRL-----\n", b'"fetched_at":'),
)
