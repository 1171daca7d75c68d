"""Attacks by amount: a bundle or a file of collateral that holds many certificates of one name."""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from tests.platforms.snp.made import CODE, START, asked, chain, crl, endorsement, held, judged

from troth.crypto import issued
from troth.model.collateral import Item
from troth.model.report import Verdict
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import DevelopmentPki, Keys, Processor

MANY = 60


@pytest.fixture(scope="module")
def milan() -> Processor:
    pki = DevelopmentPki.create(Product.MILAN, START, keys=Keys.generate())
    return Processor.create(pki, START)


@pytest.fixture(scope="module")
def flood(milan: Processor) -> tuple[Item, ...]:
    """Authorities under the true names and keys, none of which the true root issued."""
    keys = replace(milan.pki.keys, ark=milan.pki.keys.asvk)
    made = [
        DevelopmentPki.create(Product.MILAN, START + timedelta(seconds=n), keys=keys)
        for n in range(1, MANY + 1)
    ]
    return tuple(chain(one.ask, one.ark) for one in made)


def test_many_authorities_of_one_name_take_no_time(
    milan: Processor, flood: tuple[Item, ...]
) -> None:
    issued.forget()
    items = (endorsement(milan.endorsement), *flood, crl(milan.pki.crl(START)))
    with patch.object(issued, "_link", wraps=issued._link) as looked:
        report = judged(asked(milan, measurement=CODE), milan, *items)
    assert report.verdict is Verdict.REJECTED
    assert MANY < looked.call_count < 10 * MANY


def test_many_authorities_of_one_name_hide_no_true_one(
    milan: Processor, flood: tuple[Item, ...]
) -> None:
    for items in ((*held(milan), *flood), (*flood, *held(milan))):
        assert judged(asked(milan), milan, *items).verdict is Verdict.ACCEPTED
