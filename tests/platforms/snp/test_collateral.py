"""Requests to AMD's service are values, made from a report alone."""

from urllib.parse import parse_qs, urlsplit

import pytest
from tests.platforms.snp.made import START, asked

from troth.errors import Misuse
from troth.model.collateral import Kind, Request
from troth.platforms.snp.collateral import requests
from troth.platforms.snp.format import parse
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import DevelopmentPki, Processor, extended


def paths(found: tuple[Request, ...]) -> list[tuple[str, Kind]]:
    for request in found:
        parts = urlsplit(request.url)
        assert parts.scheme == "https"
        assert parts.netloc == "kdsintf.amd.com"
        assert request.chain_header is None and not request.early
    return [(urlsplit(request.url).path, request.kind) for request in found]


def test_a_milans(milan: Processor) -> None:
    found = requests(parse(asked(milan)))
    assert paths(found) == [
        (f"/vcek/v1/Milan/{milan.chip_id.hex()}", Kind.AMD_ENDORSEMENT),
        ("/vcek/v1/Milan/cert_chain", Kind.AMD_CHAIN),
        ("/vcek/v1/Milan/crl", Kind.AMD_CRL),
    ]
    assert urlsplit(found[0].url).query == "blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"


def test_a_turins(turin: Processor) -> None:
    found = requests(parse(asked(turin, version=5)))
    assert paths(found)[0][0] == f"/vcek/v1/Turin/{turin.chip_id[:8].hex()}"
    assert len(turin.chip_id[:8].hex()) == 16
    query = parse_qs(urlsplit(found[0].url).query, strict_parsing=True)
    numbers = {name: int(values[0]) for name, values in query.items()}
    assert numbers == {"fmcSPL": 1, "blSPL": 1, "teeSPL": 1, "snpSPL": 4, "ucodeSPL": 81}


def test_siena_and_bergamo_are_asked_for_as_genoa(genoa: Processor) -> None:
    found = requests(parse(asked(genoa, cpu=(0x19, 0xA0, 2))))
    assert paths(found)[1][0] == "/vcek/v1/Genoa/cert_chain"


def test_a_providers_key_is_not_asked_for(rented: Processor) -> None:
    found = requests(parse(asked(rented)))
    assert paths(found) == [
        ("/vlek/v1/Milan/cert_chain", Kind.AMD_CHAIN),
        ("/vlek/v1/Milan/crl", Kind.AMD_CRL),
    ]


def test_what_came_along_and_what_is_masked_is_not_asked_for(milan: Processor) -> None:
    for data in (
        extended(asked(milan), {"VCEK": milan.endorsement}),
        asked(milan, chip_id=bytes(64)),
    ):
        kinds = [kind for _, kind in paths(requests(parse(data)))]
        assert kinds == [Kind.AMD_CHAIN, Kind.AMD_CRL]


def test_the_reported_versions_are_asked_for(milan: Processor) -> None:
    better = {**milan.parts, "microcode": 230}
    found = requests(parse(asked(milan, current=better, committed=better, launch=better)))
    assert "ucodeSPL=219" in found[0].url


def test_version_2_needs_its_product_named(milan: Processor) -> None:
    document = parse(asked(milan, version=2))
    with pytest.raises(Misuse) as raised:
        requests(document)
    assert raised.value.fix
    found = requests(document, product=Product.GENOA)
    assert paths(found)[0][0].startswith("/vcek/v1/Genoa/")
    whole = parse(extended(asked(milan, version=2), milan.table()))
    assert paths(requests(whole))[0][0] == "/vcek/v1/Milan/cert_chain"


def test_a_product_is_asked_only_where_the_report_says_none(
    milan: Processor, pkis: dict[Product, DevelopmentPki]
) -> None:
    document = parse(asked(milan))
    assert requests(document, product=Product.TURIN) == requests(document)
    processor = Processor.create(pkis[Product.GENOA], START)
    assert "/Genoa/" in requests(parse(asked(processor)), product=Product.MILAN)[0].url
