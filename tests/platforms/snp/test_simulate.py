"""Reports that no public vector exists of, made under a development root, are accepted as real ones are."""

from dataclasses import replace

import pytest
from tests.platforms.snp.made import (
    AT,
    CODE,
    NONCE,
    POLICY,
    START,
    asked,
    failing,
    held,
    judged,
    still_open,
)

import troth
from troth.errors import Malformed, Misuse
from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import DevelopmentPki, Processor, body
from troth.trust.roots import parse_roots


@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("version", [2, 3, 4, 5])
@pytest.mark.parametrize("csp", ["", "CN=cloud.example"])
def test_every_kind_is_accepted(
    pkis: dict[Product, DevelopmentPki], product: Product, version: int, csp: str
) -> None:
    processor = Processor.create(pkis[product], START, csp=csp)
    evidence = asked(processor, version=version)
    if version == 2 and product is Product.TURIN:
        report = judged(evidence, processor)
        assert report.verdict is not Verdict.ACCEPTED
        assert "G301" in still_open(report)
        return
    verified = troth.verify(
        evidence,
        policy=POLICY,
        at=AT,
        nonce=NONCE,
        trust=[processor.pki.root()],
        collateral=Collateral(items=held(processor)),
    )
    assert verified.report.root_class is RootClass.DEVELOPMENT
    assert verified.claims.measurement("measurement") == CODE.hex()
    assert verified.claims.tcb is not None
    assert verified.claims.tcb.findings[0].part == product
    assert verified.claims.instance == ("" if csp else processor.chip_id.hex())
    assert len(verified.report.collateral) == 3


def test_an_authority_that_nobody_named_is_none(milan: Processor) -> None:
    report = troth.appraise(
        asked(milan), policy=POLICY, at=AT, nonce=NONCE, collateral=Collateral(items=held(milan))
    )
    assert report.verdict is Verdict.REJECTED
    assert failing(report) == {"G101"}


def test_a_field_that_does_not_fit_is_misuse() -> None:
    with pytest.raises(Misuse):
        body(Product.MILAN, vmpl=1 << 32)
    with pytest.raises(Misuse):
        body(Product.MILAN, report_data=bytes(65))


def test_a_pki_is_kept_in_a_file(pkis: dict[Product, DevelopmentPki]) -> None:
    for pki in pkis.values():
        again = DevelopmentPki.from_pem_bundle(pki.to_pem_bundle())
        assert (again.product, again.ark, again.ask, again.asvk) == (
            pki.product,
            pki.ark,
            pki.ask,
            pki.asvk,
        )
        assert again.root() == pki.root()
        assert pki.to_pem_bundle().startswith(pki.root_pem())


def test_what_is_no_pki_is_malformed(pkis: dict[Product, DevelopmentPki]) -> None:
    milan, genoa = pkis[Product.MILAN], pkis[Product.GENOA]
    text = milan.to_pem_bundle()
    keys = text[text.index("-----BEGIN PRIVATE") :]
    pieces = keys.split("-----END PRIVATE KEY-----\n")
    swapped = "-----END PRIVATE KEY-----\n".join((pieces[1], pieces[0], *pieces[2:]))
    bad = (
        "",
        milan.root_pem(),
        text[:-100],
        text.removesuffix(keys),
        text.removesuffix(keys) + swapped,
        genoa.root_pem() + text.removeprefix(milan.root_pem()),
        keys + text.removesuffix(keys),
    )
    for candidate in bad:
        with pytest.raises(Malformed):
            DevelopmentPki.from_pem_bundle(candidate)


def test_the_roots_file_is_what_a_caller_passes(milan: Processor) -> None:
    trusted = parse_roots(milan.pki.root_pem().encode("ascii"), source="a file")
    (own,) = (root for root in trusted if root.platform == "snp")
    assert own.root_class is RootClass.DEVELOPMENT
    assert (own.sha256, own.key_sha256) == (milan.pki.root().sha256, milan.pki.root().key_sha256)
    verified = troth.verify(
        asked(milan),
        policy=POLICY,
        at=AT,
        nonce=NONCE,
        trust=trusted,
        collateral=milan.collateral(AT),
    )
    assert verified.report.root_class is RootClass.DEVELOPMENT


def test_a_policy_admits_a_development_root_by_its_digest(milan: Processor) -> None:
    policy = replace(POLICY, development_roots=frozenset({milan.pki.root().sha256}))
    report = troth.appraise(
        asked(milan), policy=policy, at=AT, nonce=NONCE, collateral=milan.collateral(AT)
    )
    assert report.verdict is Verdict.ACCEPTED
    assert report.root_class is RootClass.DEVELOPMENT
