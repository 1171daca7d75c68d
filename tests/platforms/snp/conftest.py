"""Development authorities of each product, made once: an RSA key of 4096 bits takes its time."""

import pytest
from tests.platforms.snp.made import START

from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import DevelopmentPki, Keys, Processor


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys.generate()


@pytest.fixture(scope="session")
def pkis(keys: Keys) -> dict[Product, DevelopmentPki]:
    return {product: DevelopmentPki.create(product, START, keys=keys) for product in Product}


@pytest.fixture(scope="session")
def milan(pkis: dict[Product, DevelopmentPki]) -> Processor:
    return Processor.create(pkis[Product.MILAN], START, name="Milan-B0")


@pytest.fixture(scope="session")
def genoa(pkis: dict[Product, DevelopmentPki]) -> Processor:
    return Processor.create(pkis[Product.GENOA], START)


@pytest.fixture(scope="session")
def turin(pkis: dict[Product, DevelopmentPki]) -> Processor:
    return Processor.create(pkis[Product.TURIN], START)


@pytest.fixture(scope="session")
def rented(pkis: dict[Product, DevelopmentPki]) -> Processor:
    """A Milan whose provider's key signs."""
    return Processor.create(pkis[Product.MILAN], START, csp="CN=cc-us-east-2.cloud.example")
