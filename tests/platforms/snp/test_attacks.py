"""The published attacks on verifiers of SEV-SNP, each one test, named after the attack."""

from datetime import timedelta

import pytest
from tests.platforms.snp.made import (
    AT,
    CODE,
    LISTED,
    NONCE,
    START,
    asked,
    chain,
    crl,
    endorsement,
    failing,
    held,
    judged,
    still_open,
    why,
)

from troth.model.collateral import Item, Kind
from troth.model.report import Verdict
from troth.platforms.snp.format import SIGNED, VMPL_HOST, SigningKey, parse
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import (
    TCB,
    DevelopmentPki,
    Keys,
    Processor,
    body,
    extended,
    signed,
)
from troth.platforms.snp.simulate_pki import to_pem

P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)


def test_a_debug_guest_is_refused(milan: Processor) -> None:
    report = judged(asked(milan, policy=0xB0000), milan)
    assert report.verdict is Verdict.REJECTED
    assert failing(report) == {"P101"}


@pytest.mark.parametrize("vmpl", [1, 2, 3, VMPL_HOST])
def test_a_report_that_less_privileged_code_asked_for_is_refused(
    milan: Processor, vmpl: int
) -> None:
    report = judged(asked(milan, vmpl=vmpl), milan)
    assert report.verdict is Verdict.REJECTED
    assert failing(report) == {"P205"}


def test_a_guest_with_a_migration_agent_is_refused(milan: Processor) -> None:
    report = judged(asked(milan, policy=0x70000, report_id_ma=bytes(32)), milan)
    assert failing(report) == {"P204"}
    assert failing(judged(asked(milan, policy=0x70000), milan)) == set()


def test_the_vcek_of_another_chip_does_not_count(milan: Processor) -> None:
    other = Processor.create(milan.pki, START)
    items = (endorsement(other.endorsement), *held(milan)[1:])
    report = judged(asked(milan), milan, *items)
    assert failing(report) == {"G104", "G301"}
    assert "HWID" in why(report, "G301")


def test_a_key_does_not_count_for_the_chip_id_of_another_report(milan: Processor) -> None:
    """The key signs, and only the chip id is another's."""
    report = judged(asked(milan, chip_id=b"\x01" * 64), milan)
    assert failing(report) == {"G301"}


def test_a_vlek_is_not_taken_for_a_vcek(rented: Processor) -> None:
    report = judged(asked(rented, key_info=SigningKey.VCEK << 2), rented)
    assert failing(report) == {"G301"}
    assert "VLEK" in why(report, "G301")


def test_a_vcek_is_not_taken_for_a_vlek(milan: Processor) -> None:
    report = judged(asked(milan, key_info=SigningKey.VLEK << 2), milan)
    assert failing(report) == {"G301"}
    masked = judged(asked(milan, key_info=SigningKey.VLEK << 2, chip_id=bytes(64)), milan)
    assert failing(masked) == {"G301"}


def test_a_report_under_a_providers_key_names_no_chip(rented: Processor) -> None:
    """Or a policy that lists chips would take a provider's word for which chip it is."""
    report = judged(asked(rented, chip_id=b"\x01" * 64), rented)
    assert failing(report) == {"G301"}


def test_a_vlek_that_the_asks_key_issued_is_none(milan: Processor, rented: Processor) -> None:
    swapped = Keys(ark=milan.pki.keys.ark, ask=milan.pki.keys.asvk, asvk=milan.pki.keys.ask)
    pki = DevelopmentPki.create(Product.MILAN, START, keys=swapped)
    forged = pki.endorse(rented.key.public_key(), rented.parts, start=START, csp="CN=cloud.example")
    report = judged(asked(rented), rented, endorsement(forged), *held(rented)[1:])
    assert failing(report) == {"G102"}


def test_a_vlek_under_the_ask_is_none(rented: Processor) -> None:
    items = (endorsement(rented.endorsement), chain(rented.pki.ask, rented.pki.ark))
    assert failing(judged(asked(rented), rented, *items)) == {"G102"}


def test_a_report_under_a_masked_chip_key_is_unsigned(milan: Processor) -> None:
    report = judged(asked(milan, key_info=2), milan)
    assert failing(report) == {"G104"}
    assert report.verdict is Verdict.REJECTED


def test_a_report_that_nobody_signed_is_refused(milan: Processor) -> None:
    unsigned = body(
        Product.MILAN,
        key_info=SigningKey.NONE << 2,
        report_data=NONCE,
        measurement=CODE,
        chip_id=milan.chip_id,
    ).ljust(1184, b"\0")
    report = judged(unsigned, milan)
    assert {"G104", "G301"} <= failing(report)
    # Where the report says that somebody signed, zeros are no signature at all.
    pretended = asked(milan)[:SIGNED].ljust(1184, b"\0")
    assert judged(pretended, milan).verdict is Verdict.MALFORMED


@pytest.mark.parametrize("at", [0x2A0 + 48, 0x2A0 + 71, 0x2E8 + 48, 0x330, 0x49F])
def test_the_unsigned_tail_of_the_signature_carries_no_payload(milan: Processor, at: int) -> None:
    data = bytearray(asked(milan))
    data[at] = 1
    assert judged(bytes(data), milan).verdict is Verdict.MALFORMED


def test_a_negated_s_says_the_same_and_is_no_second_report(milan: Processor) -> None:
    """Both forms verify; so nothing may take the digest of a report for its name."""
    data = asked(milan)
    s = int.from_bytes(data[0x2E8:0x330], "little")
    other = data[:0x2E8] + (P384_ORDER - s).to_bytes(72, "little") + data[0x330:]
    first, second = judged(data, milan), judged(other, milan)
    assert first.verdict is second.verdict is Verdict.ACCEPTED
    assert first.subject_sha256 != second.subject_sha256
    assert first.presented is not None and second.presented is not None
    assert first.presented.registers == second.presented.registers


@pytest.mark.parametrize("number", [0, P384_ORDER, P384_ORDER + 1, 1 << 384])
@pytest.mark.parametrize("at", [0x2A0, 0x2E8])
def test_a_signature_out_of_its_range_is_refused(milan: Processor, at: int, number: int) -> None:
    data = asked(milan)
    data = data[:at] + number.to_bytes(72, "little") + data[at + 72 :]
    assert judged(data, milan).verdict is Verdict.MALFORMED


def test_current_versions_do_not_stand_in_for_reported_ones(milan: Processor) -> None:
    """The key follows what is reported. A key for what runs does not fit a report of less."""
    better = {**milan.parts, "microcode": 220}
    assert failing(judged(asked(milan, current=better), milan)) == set()
    report = judged(asked(milan, reported=better, committed=better, current=better), milan)
    assert failing(report) == {"G301"}
    assert "microcode is 220" in why(report, "G301")


def test_a_key_of_the_same_chip_says_in_which_version_it_differs(
    milan: Processor, genoa: Processor
) -> None:
    """After an update the certificate at hand is an older one's: which part moved is what helps."""
    better = {**milan.parts, "microcode": 220}
    items = (endorsement(genoa.endorsement), *held(milan))
    report = judged(asked(milan, reported=better, committed=better, current=better), milan, *items)
    assert failing(report) == {"G301"}
    assert why(report, "G301") == "reported microcode is 220, the key's is 219"


def test_what_is_reported_does_not_exceed_what_is_committed_nor_that_what_runs(
    milan: Processor,
) -> None:
    worse = {**milan.parts, "snp": 23}
    report = judged(asked(milan, committed=worse), milan)
    assert failing(report) == {"T109"}
    better = {**milan.parts, "snp": 25}
    assert failing(judged(asked(milan, committed=better), milan)) == {"T109"}
    assert failing(judged(asked(milan, committed=better, current=better), milan)) == set()


def test_firmware_that_can_be_rolled_back_below_the_minimum_is_refused(
    milan: Processor,
) -> None:
    """No reported version helps where the committed one is lower: the order alone refuses it."""
    report = judged(asked(milan, committed={**milan.parts, "snp": 3}), milan)
    assert {"T107", "T109"} <= failing(report)


@pytest.mark.parametrize("version", [2, 3, 5])
def test_products_are_not_mixed(milan: Processor, genoa: Processor, version: int) -> None:
    """A Genoa's report under a Milan's key, each side otherwise right."""
    cpu = (0x19, 0x11, 1)
    report = judged(asked(milan, cpu=cpu, version=version), milan)
    assert failing(report) == ({"G301"} if version >= 3 else set())
    # The chain of the other product does not help, though its keys are the very same here.
    items = (endorsement(milan.endorsement), chain(*genoa.issuers), crl(genoa.pki.crl(LISTED)))
    assert "G102" in failing(judged(asked(milan), milan, *items))


def test_a_milan_layout_is_not_read_into_a_turins_report(turin: Processor) -> None:
    """Turin's fmc is what Milan calls boot loader: read so, this key would fit other versions."""
    misread = {"boot_loader": 1, "tee": 1, "snp": 0, "microcode": 81}
    pki = turin.pki
    hwid = turin.chip_id[:8]
    forged = pki.endorse(turin.key.public_key(), {**misread, "fmc": 1}, start=START, hwid=hwid)
    report = judged(asked(turin), turin, endorsement(forged), *held(turin)[1:])
    assert failing(report) == {"G301"}
    # And bytes that only Milan's layout uses are refused in a Turin's.
    data = bytearray(body(Product.TURIN, chip_id=turin.chip_id, report_data=NONCE))
    data[0x186] = 24
    assert judged(signed(bytes(data), turin.key), turin).verdict is Verdict.MALFORMED


def test_a_turins_chip_id_is_eight_bytes_and_zeros(turin: Processor) -> None:
    report = judged(asked(turin, chip_id=turin.chip_id[:8] + b"\x01" * 56), turin)
    assert failing(report) == {"G301"}


def test_a_cpu_that_nobody_knows_leaves_the_answer_open(milan: Processor) -> None:
    report = judged(asked(milan, cpu=(0x1A, 0x50, 0)), milan)
    assert report.verdict is not Verdict.ACCEPTED
    assert {"G301", "T109"} <= still_open(report)
    assert "family 0x1a, model 0x50" in why(report, "G301")


def test_a_root_of_the_same_name_and_another_key_is_none(milan: Processor, keys: Keys) -> None:
    others = Keys(ark=keys.ask, ask=keys.asvk, asvk=keys.ark)
    pki = DevelopmentPki.create(Product.MILAN, START, keys=others)
    forger = Processor.create(pki, START)
    report = judged(asked(forger), milan, *held(forger))
    assert "G101" in failing(report)
    # Both chains are at hand under the same names, in either order: the true one is found.
    both = (*held(forger), *held(milan))
    assert judged(asked(milan), milan, *both).verdict is Verdict.ACCEPTED
    assert judged(asked(milan), milan, *reversed(both)).verdict is Verdict.ACCEPTED


def test_the_roots_dates_cannot_be_rewritten(milan: Processor) -> None:
    """Roots are pinned by key, so a certificate that is not the published one must be sealed by it."""
    ask, ark = milan.issuers
    late = ark.replace(b"260101000000Z", b"270101000000Z", 1)
    assert late != ark
    items = (endorsement(milan.endorsement), chain(ask, late), crl(milan.pki.crl(LISTED)))
    assert {"G102", "G103"} <= failing(judged(asked(milan), milan, *items))
    # Issued anew under the same key, it counts.
    anew = DevelopmentPki.create(Product.MILAN, START - timedelta(days=1), keys=milan.pki.keys)
    items = (endorsement(milan.endorsement), chain(ask, anew.ark), crl(milan.pki.crl(LISTED)))
    assert judged(asked(milan), milan, *items).verdict is Verdict.ACCEPTED


def test_a_chain_in_another_order_or_with_strangers_is_the_same_chain(
    milan: Processor, turin: Processor
) -> None:
    """AMD's are three certificates found by name; what else lies there is never followed."""
    ask, ark = milan.issuers
    items = (
        endorsement(milan.endorsement),
        chain(turin.pki.asvk, ark, milan.pki.asvk, ask),
        crl(milan.pki.crl(LISTED)),
    )
    assert judged(asked(milan), milan, *items).verdict is Verdict.ACCEPTED


def test_a_key_does_not_stand_in_for_its_own_authority(milan: Processor) -> None:
    items = (
        endorsement(milan.endorsement),
        chain(milan.pki.ark),
        crl(milan.pki.crl(LISTED)),
    )
    assert judged(asked(milan), milan, *items).verdict is Verdict.REJECTED


def test_a_list_of_another_root_does_not_count(milan: Processor, genoa: Processor) -> None:
    items = (*held(milan)[:2], crl(genoa.pki.crl(LISTED)))
    report = judged(asked(milan), milan, *items)
    assert report.verdict is Verdict.UNDECIDED
    assert still_open(report) == {"R203", "R204"}


@pytest.mark.parametrize("tail", [b"\0", b"\xde\xad\xbe\xef", bytes(24), bytes(4096), b"\0" * 23])
def test_nothing_hides_behind_a_report(milan: Processor, tail: bytes) -> None:
    assert judged(asked(milan) + tail, milan).verdict is Verdict.MALFORMED


def test_what_the_host_sends_along_is_believed_no_more_than_anything_else(
    milan: Processor, genoa: Processor
) -> None:
    forger = Processor.create(milan.pki, START)
    # Another machine's certificate in the table does not keep the right one from being found.
    data = extended(asked(milan), forger.table())
    assert judged(data, milan).verdict is Verdict.ACCEPTED
    # Alone, it is of another report; and so is a chain of another product.
    listed = crl(milan.pki.crl(LISTED))
    assert "G301" in failing(judged(data, milan, listed))
    mixed = {"VCEK": milan.endorsement, "ASK": genoa.pki.ask, "ARK": genoa.pki.ark}
    assert "G102" in failing(judged(extended(asked(milan), mixed), milan, listed))
    # With garbage alone nothing is at hand, and what should name the chip does not.
    garbage = judged(extended(asked(milan), {"VCEK": b"\x30\x03abc"}), milan, listed)
    assert failing(garbage) == {"G206"}


def test_a_certificate_that_came_as_a_hint_needs_its_list(milan: Processor) -> None:
    data = extended(asked(milan), milan.table())
    item = Item(kind=Kind.AMD_CRL, data=b"no list")
    report = judged(data, milan, item)
    assert report.verdict is Verdict.UNDECIDED
    assert still_open(report) == {"R203", "R204"}
    whole = extended(asked(milan), {**milan.table(), "CRL": milan.pki.crl(LISTED)})
    assert judged(whole, milan, item).verdict is Verdict.ACCEPTED


def test_an_ended_vlek_does_not_count(rented: Processor) -> None:
    late = AT + timedelta(days=90)
    items = (*held(rented)[:2], crl(rented.pki.crl(late - timedelta(days=1))))
    assert failing(judged(asked(rented), rented, *items, at=late)) == {"G103"}
    early = judged(asked(rented), rented, at=START - timedelta(seconds=1))
    assert "G103" in failing(early)


def test_a_masked_chip_is_named_by_its_key(milan: Processor) -> None:
    others = [Processor.create(milan.pki, START) for _ in range(2)]
    items = (*(endorsement(other.endorsement) for other in others), *held(milan))
    report = judged(asked(milan, chip_id=bytes(64)), milan, *items)
    assert report.verdict is Verdict.ACCEPTED
    assert report.presented is not None and report.presented.instance == ""
    assert any("masked" in note and milan.chip_id.hex() in note for note in report.notes)


def test_one_of_a_providers_many_keys_is_found(rented: Processor) -> None:
    others = [Processor.create(rented.pki, START, csp=f"CN={n}.example") for n in range(3)]
    renewed = rented.pki.endorse(
        rented.key.public_key(), rented.parts, start=AT + timedelta(days=1), csp="CN=cloud.example"
    )
    items = (
        *(endorsement(other.endorsement) for other in others),
        endorsement(renewed),
        *held(rented),
    )
    assert judged(asked(rented), rented, *items).verdict is Verdict.ACCEPTED


def test_the_other_algorithm_is_never_chosen_by_the_report(milan: Processor) -> None:
    report = judged(asked(milan, algorithm=2), milan)
    assert "G105" in failing(report)
    assert "G104" in still_open(report)


def test_a_nonce_with_something_behind_it_is_another(milan: Processor) -> None:
    assert judged(asked(milan), milan).verdict is Verdict.ACCEPTED
    for data in (NONCE + b"\x01", b"\0" + NONCE, b"", bytes(32) + NONCE):
        report = judged(asked(milan, report_data=data), milan)
        assert report.verdict is Verdict.REJECTED, data


def test_collateral_that_cannot_be_read_is_not_at_hand(milan: Processor) -> None:
    text = to_pem(*milan.issuers)
    for data in (b"", b"x" + text, text[:-30], text + b"comment", text.replace(b"M", b"*", 1)):
        items = (
            endorsement(milan.endorsement),
            Item(kind=Kind.AMD_CHAIN, data=data),
            crl(milan.pki.crl(LISTED)),
        )
        report = judged(asked(milan), milan, *items)
        assert report.verdict is not Verdict.ACCEPTED
        assert "R201" in still_open(report)


def test_parts_of_the_tcb_that_a_certificate_leaves_out_are_missing(milan: Processor) -> None:
    parts = {name: number for name, number in TCB[Product.MILAN].items() if name != "snp"}
    forged = milan.pki.endorse(milan.key.public_key(), parts, start=START, hwid=milan.chip_id)
    report = judged(asked(milan), milan, endorsement(forged), *held(milan)[1:])
    assert failing(report) == {"G206"}
    assert parse(asked(milan)).product is Product.MILAN
