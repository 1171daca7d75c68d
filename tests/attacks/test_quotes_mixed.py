"""Attacks by mixing: two families that are both trusted, of the same names; only what is of one counts."""

from itertools import product

import pytest
from tests.platforms.dcap.made import NONCE, NOW, OTHER, PKI, pinned
from tests.platforms.snp import made as amd

import troth
from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind
from troth.platforms.snp import simulate as snp
from troth.platforms.snp.product import Product

FAMILIES = (PKI, OTHER)


def verdict(kind: QuoteKind, mixed: tuple[DevelopmentPki, ...]) -> Verdict:
    """Of a quote whose certificates and collateral are, each, of one of the two."""
    leaf, authority, root, info, identity, root_list, list_ = mixed
    chain = (leaf.machine.leaf.pem, authority.platform_ca.pem, root.root.pem)
    data = leaf.quote(kind, fields={"reportdata": NONCE}, chain=chain)
    items = (
        info.tcb_info(tdx=kind.tdx),
        identity.qe_identity(tdx=kind.tdx),
        root_list.root_crl(),
        list_.pck_crl(),
    )
    return troth.appraise(
        data,
        policy=pinned(data),
        at=NOW,
        nonce=NONCE,
        trust=[*PKI.roots(), *OTHER.roots()],
        collateral=Collateral(items=items),
    ).verdict


@pytest.mark.parametrize("kind", [QuoteKind.SGX_3, QuoteKind.TDX_5_15])
def test_what_is_of_two_trusted_families_is_of_none(kind: QuoteKind) -> None:
    accepted = {
        mixed
        for mixed in product((0, 1), repeat=7)
        if verdict(kind, tuple(FAMILIES[n] for n in mixed)) is Verdict.ACCEPTED
    }
    assert accepted == {(0,) * 7, (1,) * 7}


@pytest.fixture(scope="module")
def keys() -> tuple[snp.Keys, snp.Keys]:
    return snp.Keys.generate(), snp.Keys.generate()


@pytest.mark.parametrize("csp", ["", "CN=cloud.example"])
@pytest.mark.parametrize("sent", [False, True])
def test_what_is_of_two_trusted_families_of_amds_names_is_of_none(
    keys: tuple[snp.Keys, snp.Keys], csp: str, sent: bool
) -> None:
    """Whether the caller holds the certificates, or the host sends them along."""
    families = [
        snp.Processor.create(
            snp.DevelopmentPki.create(Product.MILAN, amd.START, keys=held), amd.START, csp=csp
        )
        for held in keys
    ]
    accepted = set()
    for mixed in product((0, 1), repeat=5):
        reporter, leaf, ask, ark, list_ = (families[n] for n in mixed)
        said = {"chip_id": leaf.chip_id, "report_data": NONCE, "measurement": amd.CODE}
        data = reporter.report(**said)  # type: ignore[typeddict-item]
        items = (
            amd.endorsement(leaf.endorsement),
            amd.chain(ask.issuers[0], ark.issuers[1]),
            amd.crl(list_.pki.crl(amd.LISTED)),
        )
        if sent:
            name = leaf.signing_key.name
            table = {name: leaf.endorsement, "ASK": ask.issuers[0], "ARK": ark.issuers[1]}
            data, items = snp.extended(data, table), items[2:]
        report = troth.appraise(
            data,
            policy=amd.POLICY,
            at=amd.AT,
            nonce=NONCE,
            trust=[one.pki.root() for one in families],
            collateral=Collateral(items=items),
        )
        if report.verdict is Verdict.ACCEPTED:
            accepted.add(mixed)
    assert accepted == {(0,) * 5, (1,) * 5}
