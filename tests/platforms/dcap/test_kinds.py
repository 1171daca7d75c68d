"""Kinds of quotes and certification that no public vector has: accepted when right, refused when wrong."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.platforms.dcap.made import (
    KINDS,
    NONCE,
    NOW,
    OTHER,
    PKI,
    accepted,
    good,
    pinned,
    put,
    refused,
    swapped,
)

from troth.model.collateral import Collateral
from troth.model.roots import RootClass
from troth.platforms import detect
from troth.platforms.dcap import quote
from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap.quote import Body
from troth.platforms.dcap.simulate import QuoteKind
from troth.trust.collateral import freeze, load
from troth.trust.roots import parse_roots

EVERY = pytest.mark.parametrize("kind", KINDS)
BODIES = {
    QuoteKind.SGX_3: (Body.SGX, 384),
    QuoteKind.SGX_4: (Body.SGX, 384),
    QuoteKind.SGX_5: (Body.SGX, 384),
    QuoteKind.TDX_4: (Body.TD10, 584),
    QuoteKind.TDX_5_10: (Body.TD10, 584),
    QuoteKind.TDX_5_15: (Body.TD15, 648),
    QuoteKind.TDX_5_15EX: (Body.TD15EX, 885),
}
UNNAMED = {"G206", "G202", "G101", "G102", "R103", "R201", "G103", "R203", "R204", "G204", "G205"}
UNNAMED |= {"R202", "G203", "P102", "T101", "T104"}


@EVERY
def test_a_quote_of_this_kind_is_accepted(kind: QuoteKind) -> None:
    case = good(kind)
    report = accepted(case)
    parsed = quote.parse(case.data)
    assert (parsed.kind, len(parsed.body)) == BODIES[kind]
    assert parsed.version == kind.version
    assert report.platform == ("tdx" if kind.tdx else "sgx")
    assert report.root_class is RootClass.DEVELOPMENT
    claims = report.presented
    assert claims is not None
    assert claims.user_data == NONCE
    assert claims.instance == PKI.machine.ppid.hex()
    assert claims.tcb is not None
    assert claims.tcb.status == "UpToDate"
    assert claims.tcb.evaluation_number == documents.EVALUATION_NUMBER
    assert claims.tcb.date == documents.NEW
    assert len(report.collateral) == 4


@EVERY
def test_every_byte_of_body_and_header_is_signed(kind: QuoteKind) -> None:
    case = good(kind)
    size = len(quote.parse(case.data).signed)
    for at in [*range(16, 54, 7), *range(54, size, 29), size - 1]:
        data = bytearray(case.data)
        data[at] ^= 0x40
        report = replace(case, data=bytes(data)).report(pinned(case.data))
        assert report.verdict != "accepted", at


@EVERY
@pytest.mark.parametrize("certification", [1, 2, 3, 4, 7])
def test_a_quote_that_brings_no_chain(kind: QuoteKind, certification: int) -> None:
    """Undecided without one, accepted with the right one, and open again with another machine's."""
    case = good(kind, certification=certification)
    assert quote.parse(case.data).certification == certification
    open_questions = UNNAMED | ({"T110"} if kind.tdx else set())
    refused(case, undecided=open_questions)
    whole = replace(case, collateral=put(case.collateral, PKI.pck_chain()))
    report = accepted(whole)
    assert report.presented is not None
    stranger = PKI.new_machine()
    for item in (PKI.pck_chain(stranger), OTHER.pck_chain()):
        refused(replace(case, collateral=put(case.collateral, item)), undecided=open_questions)
    both = (PKI.pck_chain(stranger), OTHER.pck_chain(), PKI.pck_chain())
    accepted(replace(case, collateral=put(case.collateral, *both)))
    accepted(replace(case, collateral=PKI.collateral(supply_chain=True)))


def test_a_supplied_chain_does_not_stand_in_for_another_leaf() -> None:
    """Type 4 names its leaf: a chain for another certificate of the same key would be another claim."""
    machine = PKI.new_machine()
    case = good(machine=PKI.machine, certification=4, chain=(machine.leaf.pem,))
    case = replace(case, collateral=put(case.collateral, PKI.pck_chain()))
    refused(case, undecided=UNNAMED | {"T110"})


@EVERY
def test_a_processor_ca_machine(kind: QuoteKind) -> None:
    machine = PKI.new_machine(processor=True)
    case = good(kind, machine=machine)
    report = accepted(case)
    assert report.presented is not None
    assert "smt" not in report.presented.numbers
    assert report.presented.numbers["sgx_type"] == 0
    refused(swapped(case, PKI.pck_crl()), undecided={"R203", "R204"})


@EVERY
def test_numbers_of_the_machine_are_claims(kind: QuoteKind) -> None:
    machine = PKI.new_machine(sgx_type=2, configuration=(True, False, True))
    case = good(kind, machine=machine)
    report = accepted(case)
    assert report.presented is not None
    numbers = report.presented.numbers
    names = ("sgx_type", "dynamic_platform", "cached_keys", "smt")
    assert [numbers[name] for name in names] == [2, 1, 0, 1]
    for asked in ("dynamic_platform", "smt"):
        refused(case, "P201", policy=pinned(case.data, **{asked: "refused"}))
    accepted(case, pinned(case.data, cached_keys="refused"))
    accepted(case, pinned(case.data, machines={machine.ppid.hex()}))
    refused(case, "P203", policy=pinned(case.data, machines={PKI.machine.ppid.hex()}))


@EVERY
@pytest.mark.parametrize("who", ["leaf", "authority", "signer"])
def test_a_revoked_certificate(kind: QuoteKind, who: str) -> None:
    """The leaf in its authority's list, the authority and the signer of collateral in the root's."""
    machine = PKI.machine
    holder = {"leaf": machine.leaf, "authority": machine.authority, "signer": PKI.signer}[who]
    case = good(kind)
    revoked = PKI.pck_crl if who == "leaf" else PKI.root_crl
    refused(swapped(case, revoked(revoked=[holder])), "R203")
    others = [OTHER.signer, OTHER.machine.leaf, OTHER.platform_ca, PKI.new_machine().leaf]
    accepted(swapped(case, revoked(revoked=others)))
    refused(swapped(case, revoked(revoked=[*others, holder])), "R203")


@EVERY
def test_a_revocation_does_not_wear_off(kind: QuoteKind) -> None:
    """An old list that names a certificate counts against it, also beside a current one that does not."""
    old = PKI.pck_crl(revoked=[PKI.machine.leaf], begin=NOW - timedelta(days=60))
    refused(swapped(good(kind), old), "R203", undecided={"R204"})
    refused(swapped(good(kind), old, PKI.pck_crl()), "R203")


@EVERY
def test_a_certificate_outside_its_validity(kind: QuoteKind) -> None:
    machine = PKI.new_machine(life=timedelta(hours=1))
    refused(good(kind, machine=machine), "G103")
    edge = PKI.new_machine(life=NOW - PKI.issued)
    accepted(good(kind, machine=edge))
    late = replace(good(kind, machine=edge), at=NOW + timedelta(seconds=1))
    refused(late, "G103")


@EVERY
def test_both_ends_of_a_window_belong_to_it(kind: QuoteKind) -> None:
    for at in (PKI.issued, PKI.next_update):
        accepted(replace(good(kind), at=at))
    after = replace(good(kind), at=PKI.next_update + timedelta(seconds=1))
    refused(after, undecided={"R202", "R203", "R204"})


@EVERY
def test_padding_and_text(kind: QuoteKind) -> None:
    import base64

    case = good(kind)
    for data in (
        case.data + bytes(1),
        case.data + bytes(8000 - len(case.data)),
        base64.b64encode(case.data),
        case.data.hex().encode(),
    ):
        found = detect(data)
        assert found is not None
        assert found[1] == case.data
        accepted(replace(case, data=data))
    assert replace(case, data=case.data + b"\1").report().verdict == "malformed"


def test_frozen_collateral_is_the_same() -> None:
    case = good(certification=3)
    whole = PKI.collateral(supply_chain=True)
    text = freeze(whole)
    accepted(replace(case, collateral=load(text)))
    assert freeze(load(text)) == text


def test_the_root_file_is_of_the_development_class() -> None:
    roots = parse_roots(PKI.roots_pem(), source="a test")
    assert {root.root_class for root in roots} == {RootClass.DEVELOPMENT}
    case = good()
    assert case.report(trust=roots).verdict == "accepted"


def test_one_collateral_object_for_many_machines() -> None:
    machines = [PKI.new_machine(fmspc=bytes((0, 1, 2, 3, 4, n))) for n in range(3)]
    whole = sum((PKI.collateral(machine=m) for m in machines), Collateral())
    for machine in machines:
        for kind in KINDS:
            accepted(replace(good(kind, machine=machine), collateral=whole))


def test_a_leaf_alone_that_cannot_be_read_is_not_merely_absent() -> None:
    """Type 4 with a certificate of a broken form: a supplied chain does not make up for it."""
    broken = base64.b64encode(b"\x30\x03\x02\x01\x00").decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{broken}\n-----END CERTIFICATE-----\n".encode()
    case = good(certification=4, chain=(pem,))
    case = replace(case, collateral=put(case.collateral, PKI.pck_chain()))
    report = refused(case, "G206", undecided=(UNNAMED | {"T110"}) - {"G206"})
    (check,) = (c for c in report.checks if c.code.id == "G206")
    assert "tbsCertificate" in check.why
