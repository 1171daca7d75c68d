"""Steps that no attack and no vector takes: a root's age, what is open where nothing is at hand, words."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.platforms.snp.made import (
    AT,
    START,
    asked,
    chain,
    endorsement,
    failing,
    held,
    judged,
    still_open,
)
from tests.platforms.snp.test_vectors import rows

from troth.model.check import Check, Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Report, Verdict
from troth.platforms.snp import PLATFORM
from troth.platforms.snp.format import SIGNED, parse
from troth.platforms.snp.product import Product
from troth.platforms.snp.roots import vendor_roots
from troth.platforms.snp.simulate import DevelopmentPki, Keys, Processor, extended, signed


def check(report: Report, code: str) -> Check:
    (found,) = (check for check in report.checks if check.code.id == code)
    return found


def test_a_built_in_root_ages(vectors: Path) -> None:
    row = rows(vectors)["ms-genoa-v3.report.bin"]
    document = parse(row.data)
    review = vendor_roots()[0].review_by
    assert review is not None
    for at, outcome in (
        (review, Outcome.PASSED),
        (review + timedelta(seconds=1), Outcome.UNDECIDED),
    ):
        found = PLATFORM.genuine(document, vendor_roots(), row.collateral(), at)
        (age,) = (check for check in found.checks if check.code.id == "R103")
        assert age.outcome is outcome
        assert all(check.outcome is not Outcome.FAILED for check in found.checks)


def test_the_age_of_a_root_that_nobody_trusts_is_open(milan: Processor, vectors: Path) -> None:
    row = rows(vectors)["ms-genoa-v3.report.bin"]
    document = parse(row.data)
    found = PLATFORM.genuine(document, [milan.pki.root()], row.collateral(), row.at)
    outcomes = {check.code.id: check.outcome for check in found.checks}
    assert outcomes["G101"] is Outcome.FAILED
    assert outcomes["R103"] is Outcome.UNDECIDED
    assert found.root_class is None


def test_with_nothing_at_hand_everything_that_needs_it_is_open(milan: Processor) -> None:
    nothing = Item(kind=Kind.INTEL_TCB_INFO, data=b"{}")
    report = judged(asked(milan), milan, nothing)
    assert report.verdict is Verdict.UNDECIDED
    assert failing(report) == set()
    wanted = {code.id for code in PLATFORM.required} - {"G105", "T109"} | {"P102"}
    assert still_open(report) == wanted
    assert check(report, "G104").why == "no endorsement is at hand"
    # Version 2 does not even say how its versions are written.
    assert still_open(judged(asked(milan, version=2), milan, nothing)) >= wanted | {"T109"}


def test_without_a_chain_the_key_is_still_compared(milan: Processor) -> None:
    report = judged(asked(milan), milan, endorsement(milan.endorsement))
    assert report.verdict is Verdict.UNDECIDED
    assert still_open(report) == {*("R201", "G101", "G102", "G103", "R103", "R203", "R204", "P102")}
    assert check(report, "G101").why == "no chain is at hand"
    assert check(report, "G104").outcome is Outcome.PASSED
    assert check(report, "G301").outcome is Outcome.PASSED


def test_a_chain_without_its_root_is_none(milan: Processor) -> None:
    items = (endorsement(milan.endorsement), chain(milan.pki.ask))
    report = judged(asked(milan), milan, *items)
    assert "R201" in still_open(report)
    assert failing(report) == {"G102"}


def test_what_could_not_be_read_is_said(milan: Processor) -> None:
    bad = Item(kind=Kind.AMD_ENDORSEMENT, data=b"\x30\x00")
    report = judged(asked(milan), milan, bad)
    assert failing(report) == {"G206"}
    assert check(report, "G206").why
    bad = Item(kind=Kind.AMD_CHAIN, data=b"\x30\x00")
    report = judged(asked(milan), milan, endorsement(milan.endorsement), bad)
    assert failing(report) == {"G102"}
    assert check(report, "R201").why == check(report, "G102").why != ""
    bad = Item(kind=Kind.AMD_CRL, data=b"\x30\x00")
    report = judged(asked(milan), milan, *held(milan)[:2], bad)
    assert check(report, "R204").why


def test_a_reader_is_told_which_key_it_is(milan: Processor, rented: Processor) -> None:
    report = judged(asked(milan), milan)
    assert check(report, "G206").presented == "VCEK for Milan-B0"
    assert check(report, "G301").presented.endswith("boot_loader 4, tee 0, snp 24, microcode 219")
    assert check(report, "G102").presented == "ARK-Milan → SEV-Milan → SEV-VCEK"
    report = judged(asked(rented), rented)
    assert check(report, "G206").presented == (
        "VLEK for Milan, provider 'CN=cc-us-east-2.cloud.example'"
    )
    assert check(report, "G102").presented == "ARK-Milan → SEV-VLEK-Milan → SEV-VLEK"


def test_notes_for_a_reader(milan: Processor, genoa: Processor) -> None:
    (note,) = (n for n in judged(asked(milan), milan).notes if "2605.12990" in n)
    assert "Milan" in note
    notes = judged(asked(genoa), genoa).notes
    assert not any("2605.12990" in n or "masked" in n or "table" in n for n in notes)
    foreign = extended(asked(genoa), {"ab" * 16: b"x", "cd" * 16: b"y"})
    assert any("holds 2 entries" in n for n in judged(foreign, genoa).notes)


def test_collateral_is_named_once(milan: Processor) -> None:
    twice = (*held(milan), *held(milan))
    report = judged(asked(milan), milan, *twice)
    assert [name.split()[0] for name in report.collateral] == [
        "amd-endorsement",
        "amd-chain",
        "amd-crl",
    ]


def test_both_ends_of_a_certificates_life_belong_to_it(rented: Processor) -> None:
    """The VLEK's year, at its first and last second."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for at, outcome in (
        (start - timedelta(seconds=1), Outcome.FAILED),
        (start, Outcome.PASSED),
        (start + timedelta(days=365), Outcome.PASSED),
        (start + timedelta(days=365, seconds=1), Outcome.FAILED),
    ):
        found = PLATFORM.genuine(
            parse(asked(rented)),
            [rented.pki.root()],
            Collateral(items=held(rented)),
            at,
        )
        (life,) = (check for check in found.checks if check.code.id == "G103")
        assert life.outcome is outcome, at
    assert start + timedelta(days=365) > AT


@pytest.mark.parametrize("seconds", [0, 365 * 86400])
def test_of_two_certificates_of_one_key_the_valid_one_counts(
    rented: Processor, seconds: int
) -> None:
    """Providers renew: at the first and at the last second of the one, the other is not valid."""
    renewed = rented.pki.endorse(
        rented.key.public_key(), rented.parts, start=AT, csp="CN=cloud.example"
    )
    other = rented.pki.endorse(
        rented.key.public_key(),
        rented.parts,
        start=AT + timedelta(days=400) if seconds == 0 else AT - timedelta(days=1),
        csp="CN=cloud.example",
    )
    at = AT + timedelta(seconds=seconds)
    for pair in ((renewed, other), (other, renewed)):
        found = PLATFORM.genuine(
            parse(asked(rented)),
            [rented.pki.root()],
            Collateral(items=(*map(endorsement, pair), *held(rented)[1:])),
            at,
        )
        (life,) = (check for check in found.checks if check.code.id == "G103")
        assert life.outcome is Outcome.PASSED


def test_version_2_has_no_bytes_that_its_product_does_not_use(milan: Processor) -> None:
    """Nothing in such a report names its product, so the parser can't tell; the endorsement does."""
    for at, wanted in ((0x182, {"G301", "T109"}), (0x1E2, {"T109"}), (0x1F2, {"T109"})):
        data = bytearray(asked(milan, version=2)[:SIGNED])
        data[at] = 1
        assert failing(judged(signed(bytes(data), milan.key), milan)) == wanted


def test_an_authority_of_another_product_does_not_count(milan: Processor, genoa: Processor) -> None:
    """Every signature holds and the root is trusted; only the names say that it is the wrong one."""
    forged = genoa.pki.endorse(
        milan.key.public_key(), milan.parts, start=START, hwid=milan.chip_id, name="Milan-B0"
    )
    items = (endorsement(forged), chain(*genoa.issuers), *held(genoa)[2:])
    report = judged(asked(milan), milan, *items)
    assert failing(report) == {"G102"}
    assert "should be ARK-Milan → SEV-Milan" in check(report, "G102").why


def test_of_chains_that_fail_one_with_a_trusted_root_is_told_of(
    milan: Processor, keys: Keys
) -> None:
    others = Keys(ark=keys.ask, ask=keys.asvk, asvk=keys.ark)
    forger = DevelopmentPki.create(Product.MILAN, START, keys=others)
    for pair in ((milan.pki.ark, forger.ark), (forger.ark, milan.pki.ark)):
        items = (endorsement(milan.endorsement), chain(*pair, forger.ask))
        report = judged(asked(milan), milan, *items)
        assert failing(report) == {"G102"}
        assert check(report, "G101").outcome is Outcome.PASSED


def test_of_authorities_of_one_name_the_one_that_issued_the_key_counts(
    milan: Processor, keys: Keys
) -> None:
    """Also where one that the root certified, or one with the very key, is met before it."""
    certified = Keys(ark=keys.ark, ask=keys.asvk, asvk=keys.ask)
    with_the_key = Keys(ark=keys.asvk, ask=keys.ask, asvk=keys.ark)
    for others in (certified, with_the_key):
        other = DevelopmentPki.create(Product.MILAN, START, keys=others).ask
        items = (endorsement(milan.endorsement), chain(other, *milan.issuers), *held(milan)[2:])
        assert judged(asked(milan), milan, *items).verdict is Verdict.ACCEPTED


def test_a_root_that_nobody_trusts_is_named_wherever_it_lies(milan: Processor, keys: Keys) -> None:
    others = Keys(ark=keys.ask, ask=keys.asvk, asvk=keys.ark)
    forger = DevelopmentPki.create(Product.MILAN, START, keys=others)
    machine = Processor.create(forger, START, name="Milan-B0")
    for chains in ((chain(forger.ask, forger.ark),), (chain(forger.ask), chain(forger.ark))):
        report = judged(asked(machine), milan, endorsement(machine.endorsement), *chains)
        assert failing(report) == {"G101"}
        assert "ARK-Milan" in check(report, "G101").presented
