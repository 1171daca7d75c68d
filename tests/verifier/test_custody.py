"""Whose key is it: by each tag, and each way to make a key look bound that is not."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import troth
from troth.channel.services.simulate import dstack as simulated
from troth.channel.services.simulate._nitro import PCRS, Enclave
from troth.channel.services.simulate.dstack_guest import DstackGuest, public_of
from troth.crypto import ethereum
from troth.model.check import Waiver
from troth.model.claims import Source
from troth.model.codes.measurement import M304
from troth.model.composite import Composite, Part
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.model.statement import Status
from troth.platforms.tdx import dstack_keys
from troth.policy import Policy
from troth.verifier import claimed
from troth.verifier.binding import Tag, bind
from troth.verifier.claimed import Chain, Claimed
from troth.verifier.custody import NAMES, Custody, Known, custody, joined

NOW = datetime.now(UTC)
NONCE = bytes(range(1, 33))
GUEST = DstackGuest.create(NOW)
ROOT = claimed.read(GUEST.root_public.hex())
HELD = GUEST.key("wallet/eth", "wallet")
WALLET = claimed.read(HELD.public.hex())
CHAIN = Chain(purpose="wallet", public_key=HELD.public, signatures=HELD.chain)
OTHER = claimed.read(public_of(b"\x77" * 32).hex())
ASSERTED, REFUTED, UNKNOWN = Status.ASSERTED, Status.REFUTED, Status.UNKNOWN


def policy(guest: DstackGuest = GUEST) -> Policy:
    registers = {name: frozenset({value.hex()}) for name, value in guest.registers.items()}
    return Policy(name="pinned", registers={"tdx": registers})


def report_of(guest: DstackGuest = GUEST, data: bytes = NONCE, **given: Any) -> Report:
    evidence = json.dumps(simulated.answer(guest, data)).encode()
    arguments = {"policy": policy(guest), "nonce": data, "at": NOW} | given
    return troth.appraise(evidence, trust=guest.roots, collateral=guest.collateral, **arguments)


ACCEPTED = report_of()


def asked(key: Claimed = WALLET, report: Report = ACCEPTED, **known: Any) -> Custody:
    """The answer, as if a vendor's hardware had signed what a simulator did."""
    report = replace(report, root_class=known.pop("root_class", RootClass.VENDOR))
    return custody(key, report, Known(**({"chain": CHAIN, "roots": [ROOT]} | known)))


def statuses(found: Custody) -> dict[str, Status]:
    assert [one.name for one in found.statements] == list(NAMES)
    assert all((one.source is None) == (one.status is UNKNOWN) for one in found.statements)
    return {one.name: one.status for one in found.statements}


def test_a_wallet_by_the_key_services_chain() -> None:
    assert ACCEPTED.verdict is Verdict.ACCEPTED
    found = asked()
    assert found.tag == "dstack-chain" and found.statements[0].source is Source.VERIFIER
    assert statuses(found) == {
        "key_bound": ASSERTED,
        "key_made_inside": REFUTED,
        "key_service_could_hold": ASSERTED,
        "owner_could_hold": UNKNOWN,
        "operator_could_hold": UNKNOWN,
    }


def test_the_wallets_address_and_the_roots() -> None:
    address = "0x" + WALLET.address.hex()
    root = claimed.read("0x" + ROOT.address.hex())
    assert asked(claimed.read(address), roots=[OTHER, root]).tag == "dstack-chain"


def test_an_ed25519_key_by_the_chain() -> None:
    held = GUEST.key("wallet/sol", "wallet", "ed25519")
    chain = Chain(purpose="wallet", public_key=held.public, signatures=held.chain)
    assert asked(claimed.read(held.public.hex()), chain=chain).bound is ASSERTED


def test_an_application_that_a_contract_owns() -> None:
    guest = DstackGuest.create(NOW, app_id=b"\x0c" * 20, root=GUEST.root)
    held = guest.key("wallet/eth", "wallet")
    chain = Chain(purpose="wallet", public_key=held.public, signatures=held.chain)
    found = asked(claimed.read(held.public.hex()), report_of(guest), chain=chain)
    assert statuses(found)["owner_could_hold"] is ASSERTED
    assert "contract" in found.statements[3].why


def test_no_root_is_no_answer() -> None:
    found = asked(roots=[])
    assert (found.tag, found.bound) == ("", UNKNOWN)
    assert set(statuses(found).values()) == {UNKNOWN}


def test_a_root_of_the_attackers() -> None:
    """Any chain recovers to some root; only the one that the caller knows counts."""
    hostile = DstackGuest.create(NOW, root=b"\x66" * 32)
    held = hostile.key("wallet/eth", "wallet")
    chain = Chain(purpose="wallet", public_key=held.public, signatures=held.chain)
    assert asked(claimed.read(held.public.hex()), chain=chain).bound is REFUTED


def test_a_chain_for_another_application() -> None:
    """The same key service, and a guest that runs something else."""
    other = DstackGuest.create(NOW, composition=b'{"name":"other"}', root=GUEST.root)
    held = other.key("wallet/eth", "wallet")
    chain = Chain(purpose="wallet", public_key=held.public, signatures=held.chain)
    assert asked(claimed.read(held.public.hex()), chain=chain).bound is REFUTED
    assert asked(claimed.read(held.public.hex()), report_of(other), chain=chain).bound is ASSERTED


@pytest.mark.parametrize("purpose", ["", "signing", "walle"])
def test_a_chain_for_another_purpose(purpose: str) -> None:
    assert asked(chain=replace(CHAIN, purpose=purpose)).bound is REFUTED


def test_a_chain_over_another_key() -> None:
    assert asked(OTHER).bound is REFUTED
    assert asked(OTHER, chain=replace(CHAIN, public_key=public_of(b"\x77" * 32))).bound is REFUTED


def test_signatures_moved_or_cut() -> None:
    first, second = CHAIN.signatures
    for moved in ((second, first), (first, first), (first[:-1], second), (first, bytes(65))):
        assert asked(chain=replace(CHAIN, signatures=moved)).bound is REFUTED


def test_an_application_that_was_not_measured() -> None:
    """Without a log the quote names no application, and a chain has nothing to stand on."""
    evidence = GUEST.quote(NONCE)
    report = troth.appraise(
        evidence,
        policy=policy(),
        nonce=NONCE,
        at=NOW,
        trust=GUEST.roots,
        collateral=GUEST.collateral,
    )
    assert report.verdict is Verdict.ACCEPTED
    assert asked(report=report).bound is UNKNOWN


def test_a_log_that_was_changed_names_nothing() -> None:
    """Its digests are kept, its payload is the attacker's application: that log is not believed."""
    hostile = DstackGuest.create(NOW, composition=b'{"name":"other"}', root=GUEST.root)
    entries = [dict(entry) for entry in hostile.entries]
    next(e for e in entries if e["event"] == "app-id")["event_payload"] = GUEST.app_id.hex()
    report = report_of(replace(hostile, entries=tuple(entries)))
    assert report.verdict is not Verdict.ACCEPTED
    assert asked(report=report).bound is not ASSERTED


@pytest.mark.parametrize(
    "given",
    [
        {"nonce": bytes(range(2, 34))},
        {"policy": Policy(name="other", registers={"tdx": {"mrtd": frozenset({"ee" * 48})}})},
        {"policy": Policy(name="empty")},
        {"nonce": None},
        {"policy": Policy(name="empty"), "waive": frozenset({Waiver.MEASUREMENT})},
    ],
)
def test_evidence_that_is_not_accepted_binds_nothing(given: dict[str, Any]) -> None:
    report = report_of(**given)
    assert report.verdict is not Verdict.ACCEPTED
    found = asked(report=report)
    assert found.bound is UNKNOWN and found.tag == ""


def test_freshness_alone_may_be_given_up() -> None:
    report = report_of(nonce=None, waive=frozenset({Waiver.FRESHNESS}))
    assert report.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    assert asked(report=report).bound is ASSERTED


def composite(data: bytes, guest: DstackGuest = GUEST) -> Report:
    evidence = json.dumps(simulated.answer(guest, data)).encode()
    whole = Composite(parts=(Part(name="cpu", evidence=evidence, says="", user_data=data),))
    return troth.appraise(
        whole,
        policy=policy(guest),
        at=NOW,
        trust=guest.roots,
        collateral=guest.collateral,
        waive=frozenset({Waiver.FRESHNESS}),
    )


@pytest.mark.parametrize("algorithm", ["secp256k1", "ed25519"])
def test_the_key_that_the_agent_signs_with(algorithm: str) -> None:
    held = GUEST.key("vms", "signing", algorithm)
    report = composite(dstack_keys.signing_key_data(algorithm, held.public))
    found = asked(claimed.read(held.public.hex()), report, chain=None)
    assert found.tag == "dstack-signing-key" and found.statements[0].source is Source.HARDWARE
    assert statuses(found)["key_service_could_hold"] is ASSERTED
    assert asked(OTHER, report, chain=None).bound is REFUTED


def test_a_signing_address_and_a_nonce() -> None:
    data = WALLET.address.ljust(32, b"\0") + NONCE
    report = composite(data)
    found = asked(chain=None, report=report, nonce=NONCE)
    assert found.tag == "signing-address" and "your nonce" in found.statements[0].why
    assert "not yours" in asked(chain=None, report=report).statements[0].why
    assert asked(OTHER, report, chain=None).bound is REFUTED
    assert statuses(found)["key_made_inside"] is UNKNOWN
    raw = ed25519.Ed25519PrivateKey.generate().public_key()
    key = raw.public_bytes(Encoding.Raw, PublicFormat.Raw)
    report = composite(key + NONCE)
    assert asked(claimed.read(key.hex()), report, chain=None).tag == "signing-address"
    assert asked(OTHER, report, chain=None).bound is UNKNOWN


def test_report_data_that_names_no_key() -> None:
    for data in (bytes(64), b"\xff" * 64, b"text".ljust(64, b"\0")):
        assert asked(report=composite(data), chain=None).bound is not ASSERTED
    assert asked(report=composite(bytes(range(64))), chain=None).bound is UNKNOWN


def nitro(enclave: Enclave, **put_in: Any) -> Report:
    registers = {f"pcr{i}": frozenset({value.hex()}) for i, value in PCRS.items()}
    return troth.appraise(
        enclave.document(**put_in),
        policy=Policy(name="pinned", registers={"nitro": registers}),
        at=datetime.now(UTC),
        trust=[enclave.root],
    )


def test_oysters_key_is_in_the_document() -> None:
    enclave = Enclave.create(NOW)
    report = nitro(enclave, public_key=WALLET.point[1:])
    found = asked(claimed.read("0x" + WALLET.address.hex()), report, chain=None)
    assert found.tag == "document-key"
    assert statuses(found) == {
        "key_bound": ASSERTED,
        "key_made_inside": UNKNOWN,
        "key_service_could_hold": UNKNOWN,
        "owner_could_hold": UNKNOWN,
        "operator_could_hold": REFUTED,
    }
    assert asked(OTHER, report, chain=None).bound is REFUTED


def test_troths_own_identity_key() -> None:
    enclave = Enclave.create(NOW)
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bound = bind(Tag.IDENTITY, spki, NONCE)
    report = nitro(enclave, public_key=spki, user_data=bound, nonce=NONCE)
    found = asked(claimed.read(spki.hex()), report, chain=None)
    assert found.tag == "troth-identity"
    assert statuses(found) == {
        "key_bound": ASSERTED,
        "key_made_inside": ASSERTED,
        "key_service_could_hold": REFUTED,
        "owner_could_hold": REFUTED,
        "operator_could_hold": REFUTED,
    }
    # Under another tag it is a key in a document, and no identity.
    other = nitro(enclave, public_key=spki, user_data=bind(Tag.APP, spki, NONCE), nonce=NONCE)
    assert asked(claimed.read(spki.hex()), other, chain=None).tag == "document-key"


@pytest.mark.parametrize("kind", [RootClass.DEVELOPMENT, RootClass.ADDED, None])
def test_nobody_is_kept_out_by_hardware_that_is_none(kind: RootClass | None) -> None:
    """Reassurance rests on a vendor's hardware; that somebody could hold the key does not."""
    enclave = Enclave.create(NOW)
    report = nitro(enclave, public_key=WALLET.point[1:])
    assert report.root_class is RootClass.DEVELOPMENT
    found = asked(report=report, chain=None, root_class=kind)
    assert (found.tag, found.bound) == ("document-key", ASSERTED)
    assert statuses(found)["operator_could_hold"] is UNKNOWN
    assert "no vendor's" in found.statements[-1].why
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    mine = nitro(enclave, public_key=spki, user_data=bind(Tag.IDENTITY, spki, NONCE), nonce=NONCE)
    own = statuses(asked(claimed.read(spki.hex()), mine, chain=None, root_class=kind))
    assert own.pop("key_bound") is ASSERTED
    assert set(own.values()) == {UNKNOWN}
    derived = statuses(asked(root_class=kind))
    assert derived["key_made_inside"] is REFUTED
    assert derived["key_service_could_hold"] is ASSERTED


def test_a_key_in_a_services_role() -> None:
    report = report_of()
    keys = {"receipt": WALLET.point, "tls": b"\x30"}
    assert asked(report=report, chain=None, keys=keys).tag == "service-receipt"
    other = asked(OTHER, report, chain=None, keys=keys)
    assert other.bound is UNKNOWN and "keys are others" in other.statements[0].why


@pytest.mark.parametrize(
    ("provider", "service", "operator", "inside"),
    [
        ("none", REFUTED, REFUTED, ASSERTED),
        ("local-sgx", ASSERTED, UNKNOWN, REFUTED),
        ("tpm", ASSERTED, UNKNOWN, REFUTED),
        ("kms", ASSERTED, UNKNOWN, REFUTED),
    ],
)
def test_who_gives_the_keys(
    provider: str, service: Status, operator: Status, inside: Status
) -> None:
    assert ACCEPTED.presented is not None
    events = dict(ACCEPTED.presented.events) | {"key_provider": provider}
    report = replace(ACCEPTED, presented=replace(ACCEPTED.presented, events=events))
    found = statuses(asked(report=report))
    assert found["key_service_could_hold"] is service
    assert found["operator_could_hold"] is operator
    assert found["key_made_inside"] is inside


@pytest.mark.parametrize(
    ("id_", "words"),
    [
        ("ab" * 8, "kms abababababababab can"),
        ("ab" * 9, "kms abababababababab… can"),
        ("", "kms can"),
    ],
)
def test_the_key_service_is_named(id_: str, words: str) -> None:
    assert ACCEPTED.presented is not None
    events = dict(ACCEPTED.presented.events) | {"key_provider_id": id_}
    report = replace(ACCEPTED, presented=replace(ACCEPTED.presented, events=events))
    assert words in asked(report=report).statements[2].why


def test_nothing_presented_says_nothing() -> None:
    report = troth.appraise(b"nonsense", policy=policy(), at=NOW)
    assert asked(report=report).bound is UNKNOWN


def test_addresses_are_compared_in_full() -> None:
    near = bytearray(ethereum.address(WALLET.point))
    near[-1] ^= 1
    assert asked(claimed.read("0x" + near.hex())).bound is REFUTED


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (asked(), Verdict.ACCEPTED),
        (asked(OTHER), Verdict.REJECTED),
        (asked(roots=[]), Verdict.UNDECIDED),
    ],
)
def test_the_answer_decides_with_the_others(found: Custody, verdict: Verdict) -> None:
    report = joined(ACCEPTED, found)
    assert report.verdict is verdict
    assert [one.name for one in report.statements[-5:]] == list(NAMES)
    assert (report.checks[-1].code.id, report.checks[-1].expected) == ("B201", found.key.text)


def test_a_bound_key_makes_no_evidence_better() -> None:
    other = Policy(name="other", registers={"tdx": {"mrtd": frozenset({"ee" * 48})}})
    assert joined(report_of(policy=other), asked()).verdict is Verdict.REJECTED


def test_a_key_that_is_bound_answers_no_other_question() -> None:
    """What was required before is required still, beside the key."""
    opened = replace(ACCEPTED, required=(*ACCEPTED.required, M304))
    answer = asked()
    for report in (opened, ACCEPTED):
        assert {code.id for code in report.required} | {"B201"} == {
            code.id for code in joined(report, answer).required
        }
    assert joined(opened, answer).verdict is Verdict.UNDECIDED
    assert joined(ACCEPTED, answer).verdict is Verdict.ACCEPTED
