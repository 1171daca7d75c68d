"""X.509 certificates, and the keys in them."""

from collections.abc import Iterable

from fuzz.simulated import intel, nitro_case, processor, report_cases
from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.crypto import keys
from troth.platforms.nitro import format as nitro
from troth.platforms.snp.product import Product
from troth.wire import x509


def _run(data: bytes) -> None:
    read = x509.read(data)
    must(
        read.der == data and read.signed in data, "a certificate is not the bytes it was read from"
    )
    x509.common_name(read.subject)
    x509.common_name(read.issuer)
    keys.load(read.key)


def _seeds() -> Iterable[bytes]:
    document = nitro.parse(nitro_case().evidence)
    yield from (document.certificate, *document.cabundle)
    yield from (holder.der for holder in (intel().root, intel().signer, intel().machine.leaf))
    chip = processor(Product.TURIN)
    yield from (chip.endorsement, *chip.issuers)
    yield from vectors("snp/certs/*.der")


def endorsements() -> Iterable[bytes]:
    """Certificates of AMD's kind of key."""
    report_cases()
    yield from (processor(product).endorsement for product in Product)
    yield processor(Product.MILAN, "CN=cc.cloud.example").endorsement
    yield from vectors("snp/certs/*.der")


TARGET = Target(
    run=_run, seeds=_seeds, longest=4096, words=(b"\x30\x80", b"\x30\x82", b"\x02\x01", b"\x17\x0d")
)
