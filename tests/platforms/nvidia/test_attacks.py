"""Attacks on a device's evidence, each under its name: refused, or left open where nothing tells."""

import dataclasses
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.platforms.nvidia.made import (
    ANSWERED,
    AT,
    NONCE,
    START,
    failing,
    judged,
    ocsp_item,
    of,
    policy_for,
    refused,
    rim_item,
    rims,
    still_open,
    without,
)

import troth
from troth.model.check import Outcome
from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.nvidia import simulate_pki
from troth.platforms.nvidia.device import BLACKWELL, HOPPER, LS10
from troth.platforms.nvidia.format import OFF, Field
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.simulate import (
    DRIVER_VERSION,
    FWID,
    VBIOS_VERSION,
    Device,
    collateral,
    rim,
    signed,
)
from troth.platforms.nvidia.simulate_pki import FOREVER, DevelopmentPki, authority
from troth.policy.requirements import Requirements

ALL = [HOPPER, BLACKWELL, LS10]


def remade(device: Device, **changes: object) -> Device:
    return dataclasses.replace(device, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", ALL)
def test_each_device_is_accepted(
    devices: dict[str, Device], held: Collateral, architecture: str
) -> None:
    found = judged(devices[architecture], held)
    assert found.verdict is Verdict.ACCEPTED, [c for c in found.checks if c.outcome != "passed"]
    assert found.root_class is RootClass.DEVELOPMENT


def test_anothers_evidence(hopper: Device, blackwell: Device, held: Collateral) -> None:
    """A report with the certificates of another device."""
    found = judged(hopper, held, evidence=hopper.report(NONCE) + blackwell.pem)
    assert "G104" in failing(found)
    # Of the same kind, and with the same firmware: only the signature tells.
    twin = Device.create(hopper.pki, HOPPER, START)
    found = judged(hopper, held, evidence=hopper.report(NONCE) + twin.pem)
    assert failing(found) == {"G104"}


def test_an_old_nonce(hopper: Device, held: Collateral) -> None:
    found = judged(hopper, held, evidence=hopper.evidence(bytes(32)))
    assert failing(found) == {"B101"}


def test_a_nonce_written_into_a_signed_report(hopper: Device, held: Collateral) -> None:
    data = hopper.evidence(bytes(32))
    found = judged(hopper, held, evidence=data[:4] + NONCE + data[36:])
    assert failing(found) == {"G104"}


def test_a_signature_by_a_key_of_ones_own(hopper: Device, held: Collateral) -> None:
    own = hopper.report(NONCE)[:-96]
    own += signed(ec.generate_private_key(ec.SECP384R1()), own)
    assert failing(judged(hopper, held, evidence=own + hopper.pem)) == {"G104"}


@pytest.mark.parametrize("scalar", [bytes(48), b"\xff" * 48])
def test_a_signature_of_no_numbers(hopper: Device, held: Collateral, scalar: bytes) -> None:
    report = hopper.report(NONCE)
    for broken in (report[:-96] + scalar + report[-48:], report[:-48] + scalar):
        assert failing(judged(hopper, held, evidence=broken + hopper.pem)) == {"G104"}


def test_a_leaf_of_ones_own(hopper: Device, held: Collateral) -> None:
    """The names are right, and no device certified it."""
    fake = simulate_pki.device(HOPPER, hopper.pki.provisioners[HOPPER], START)
    leaf = simulate_pki.leaf(HOPPER, fake, START, FWID)
    found = judged(remade(hopper, leaf=leaf), held)
    assert failing(found) == {"G102"}


def test_a_whole_chain_of_ones_own(hopper: Device, held: Collateral) -> None:
    own = Device.create(DevelopmentPki.create(START), HOPPER, START)
    found = judged(hopper, held, evidence=own.evidence(NONCE))
    assert "G101" in failing(found)
    assert found.verdict is Verdict.REJECTED


def test_a_root_of_the_right_name_that_another_key_made(hopper: Device, held: Collateral) -> None:
    fake = authority("NVIDIA Device Identity CA", None, START, FOREVER)
    data = hopper.report(NONCE) + b"".join(m.pem for m in hopper.chain[:-1]) + fake.pem
    assert {"G101", "G102"} <= failing(judged(hopper, held, evidence=data))


def test_the_root_for_documents_vouches_for_no_device(hopper: Device, held: Collateral) -> None:
    """Both roots are passed; each counts for what it is named for."""
    pki = hopper.pki
    identity = authority("NVIDIA GH100 Identity", pki.rim_root, START, FOREVER)
    provisioner = authority("NVIDIA GH100 Provisioner ICA 1", identity, START, FOREVER)
    other = dataclasses.replace(
        pki,
        device_root=pki.rim_root,
        identities={HOPPER: identity},
        provisioners={HOPPER: provisioner},
    )
    found = judged(hopper, held, evidence=Device.create(other, HOPPER, START).evidence(NONCE))
    assert "G102" in failing(found)


def test_the_root_for_devices_vouches_for_no_document(hopper: Device, held: Collateral) -> None:
    version, golden = hopper.golden()[0]
    signers = (*hopper.pki.rim_signers["GH100"][:-1],)
    leaf_only = (signers[0], signers[1], hopper.pki.device_root)
    document = rim(hopper.pki, "GH100", version, golden, signers=leaf_only)
    mixed = without(held, rims(held)[0]) + Collateral(items=(rim_item(document),))
    assert "G204" in failing(judged(hopper, mixed))


def test_a_dropped_certificate(hopper: Device, held: Collateral) -> None:
    for left in range(5):
        members = [m for place, m in enumerate(hopper.chain) if place != left]
        data = hopper.report(NONCE) + b"".join(m.pem for m in members)
        assert "G102" in failing(judged(hopper, held, evidence=data)), left


def test_certificates_in_another_order(hopper: Device, held: Collateral) -> None:
    data = hopper.report(NONCE) + b"".join(m.pem for m in reversed(hopper.chain))
    assert "G102" in failing(judged(hopper, held, evidence=data))


def test_a_further_certificate(hopper: Device, held: Collateral) -> None:
    data = hopper.evidence(NONCE) + hopper.pki.device_root.pem
    assert failing(judged(hopper, held, evidence=data)) == {"G102"}


def test_a_report_without_its_certificates_is_left_open(hopper: Device, held: Collateral) -> None:
    found = judged(hopper, held, evidence=hopper.report(NONCE))
    assert failing(found) == set()
    assert {"G101", "G102", "G103", "G104", "G302", "G303", "R203"} <= still_open(found)


def test_a_gpus_report_with_a_switchs_certificates(
    hopper: Device, switch: Device, held: Collateral
) -> None:
    """Signed by the switch's own key, so that nothing but the kinds tells."""
    data = remade(hopper, leaf=switch.leaf).report(NONCE) + switch.pem
    assert failing(judged(hopper, held, evidence=data)) == {"G302"}


def test_roles_of_certificates(hopper: Device, blackwell: Device, held: Collateral) -> None:
    """A provisioner of Blackwell's above a device of Hopper's."""
    brom = simulate_pki.device(HOPPER, hopper.pki.provisioners[BLACKWELL], START)
    leaf = simulate_pki.leaf(HOPPER, brom, START, FWID)
    chain = (leaf, brom, *blackwell.chain[2:])
    data = remade(hopper, leaf=leaf).report(NONCE) + b"".join(m.pem for m in chain)
    assert failing(judged(hopper, held, evidence=data)) == {"G302"}


@pytest.mark.parametrize("architecture", [HOPPER, BLACKWELL])
def test_other_firmware_than_the_certified(
    devices: dict[str, Device], held: Collateral, architecture: str
) -> None:
    device = devices[architecture]
    other = remade(device, opaque={**device.opaque, Field.FWID: b"\xf2" * 48})
    assert failing(judged(device, held, evidence=other.evidence(NONCE))) == {"G303"}


def test_a_gpu_that_does_not_say_its_firmware_is_left_open(
    hopper: Device, held: Collateral
) -> None:
    silent = remade(hopper, opaque={**hopper.opaque, Field.FWID: None})
    found = judged(hopper, held, evidence=silent.evidence(NONCE))
    assert failing(found) == set()
    assert still_open(found) == {"G303"}


def test_a_switch_has_no_such_field_but_may_not_lie(switch: Device, held: Collateral) -> None:
    lying = remade(switch, opaque={**switch.opaque, Field.FWID: b"\xf2" * 48})
    assert failing(judged(switch, held, evidence=lying.evidence(NONCE))) == {"G303"}


def test_debug_firmware_of_blackwell(pki: DevelopmentPki) -> None:
    debug = Device.create(pki, BLACKWELL, START, debug=True)
    found = judged(debug, collateral([debug], ANSWERED))
    assert failing(found) == {"P101"}


# What measures otherwise.


@pytest.mark.parametrize("architecture", ALL)
def test_every_golden_index_counts(
    devices: dict[str, Device], held: Collateral, architecture: str
) -> None:
    device = devices[architecture]
    expected = {index for _, golden in device.golden() for index in golden}
    for index in range(len(device.measurements)):
        changed = list(device.measurements)
        changed[index] = b"\x66" * 48
        found = judged(
            device, held, evidence=remade(device, measurements=tuple(changed)).evidence(NONCE)
        )
        assert failing(found) == ({"M401"} if index in expected else set()), index
        # What no document speaks of is open to nothing but the policy's own register.
        assert (found.verdict is Verdict.ACCEPTED) is (index not in expected)


def test_measurement_35_is_left_out_only_where_its_engine_is_off(
    hopper: Device, held: Collateral
) -> None:
    changed = list(hopper.measurements)
    changed[35] = b"\x66" * 48
    off = {**hopper.opaque, Field.NVDEC0_STATUS: OFF}
    quiet = remade(hopper, measurements=tuple(changed), opaque=off)
    found = judged(hopper, held, evidence=quiet.evidence(NONCE))
    assert found.verdict is Verdict.ACCEPTED
    assert "35 skipped" in of(found.checks, "M401")[0].presented
    for status in (b"\0", b"\xff", b"\xab", None):
        odd = remade(hopper, opaque={**hopper.opaque, Field.NVDEC0_STATUS: status})
        found = judged(hopper, held, evidence=odd.evidence(NONCE))
        assert failing(found) == {"M401"}, status


def test_a_driver_that_says_another_version(hopper: Device, held: Collateral) -> None:
    """It measures as it should, and claims to be one that the policy does not name."""
    found = judged(hopper, held, evidence=remade(hopper, driver_version="580.0").evidence(NONCE))
    assert failing(found) == {"P301"}
    assert "R201" in still_open(found)  # no document is of that version


def test_an_old_driver_that_claims_to_be_new(hopper: Device, held: Collateral) -> None:
    changed = tuple(b"\x66" * 48 if i >= 21 else m for i, m in enumerate(hopper.measurements))
    old = remade(hopper, measurements=changed)
    assert failing(judged(hopper, held, evidence=old.evidence(NONCE))) == {"M401"}


def test_two_documents_that_speak_of_one_index(hopper: Device, held: Collateral) -> None:
    (version, golden), _ = hopper.golden()
    both = rim(hopper.pki, "GH100", version, {**golden, 3: (hopper.measurements[3],)})
    mixed = without(held, rims(held)[0]) + Collateral(items=(rim_item(both),))
    found = judged(hopper, mixed)
    assert failing(found) == {"M401"}
    assert "index 3 is active in" in of(found.checks, "M401")[0].why


def test_a_document_that_asks_for_nothing(hopper: Device, held: Collateral) -> None:
    empty = rim(hopper.pki, "GH100", DRIVER_VERSION, {})
    mixed = without(held, rims(held)[0]) + Collateral(items=(rim_item(empty),))
    assert failing(judged(hopper, mixed)) == {"M401"}


def test_a_document_of_another_product_or_edition_is_none(hopper: Device, held: Collateral) -> None:
    version, golden = hopper.golden()[0]
    rest = without(held, rims(held)[0])
    for document in (
        rim(hopper.pki, "GB100", version, golden),
        rim(hopper.pki, "GH100", version, golden, edition="SWITCH"),
        rim(hopper.pki, "GH100", "580.159.04", golden),
    ):
        found = judged(hopper, rest + Collateral(items=(rim_item(document),)))
        assert failing(found) == set()
        assert {"R201", "G204", "M401"} <= still_open(found)


def test_of_several_documents_of_one_version_one_must_fit(hopper: Device, held: Collateral) -> None:
    """Boards share versions of the VBIOS; the document does not say which board it is for."""
    other = dict.fromkeys(hopper.golden()[1][1], (b"w" * 48,))
    document = rim(hopper.pki, "GH100", VBIOS_VERSION, other)
    for mixed in (
        Collateral(items=(rim_item(document),)) + held,
        held + Collateral(items=(rim_item(document),)),
    ):
        assert judged(hopper, mixed).verdict is Verdict.ACCEPTED


def test_a_forged_document_beside_a_good_one_changes_nothing(
    hopper: Device, held: Collateral
) -> None:
    version, golden = hopper.golden()[0]
    stranger = DevelopmentPki.create(START)
    forged = Collateral(items=(rim_item(rim(stranger, "GH100", version, golden)),))
    assert judged(hopper, forged + held).verdict is Verdict.ACCEPTED
    alone = forged + without(held, rims(held)[0])
    assert "G204" in failing(judged(hopper, alone))


def test_documents_under_a_root_of_another_standing(hopper: Device, held: Collateral) -> None:
    """Whoever adds a root of his own for documents does not make a vendor's device say what he likes."""
    device_root, rim_root = hopper.pki.roots()
    added = dataclasses.replace(rim_root, root_class=RootClass.ADDED)
    found = judged(hopper, held, trust=(device_root, added))
    assert failing(found) == {"G204"}


# What is not asked, or not answered.


def test_nothing_at_hand_is_left_open(hopper: Device) -> None:
    found = judged(hopper, Collateral())
    assert failing(found) == set()
    assert still_open(found) == {"G204", "M401", "R201", "R202", "R203", "R204", "R205"}


def test_answers_without_documents_and_documents_without_answers(
    hopper: Device, held: Collateral
) -> None:
    found = judged(hopper, without(held, *rims(held)))
    assert still_open(found) == {"G204", "M401", "R201", "R202"}
    found = judged(hopper, Collateral(items=tuple(rims(held))))
    assert still_open(found) == {"R203", "R204", "R205"}


def test_a_policy_that_names_no_version(hopper: Device, held: Collateral) -> None:
    for asked in ({}, {"driver_version": frozenset({DRIVER_VERSION})}):
        policy = troth.Policy(
            name="half",
            requirements={"nvidia": Requirements(mode=frozenset({"spt"}), **asked)},  # type: ignore[arg-type]
        )
        found = judged(hopper, held, policy=policy)
        assert failing(found) == set()
        assert still_open(found) == {"M101"}


def test_all_measurements_may_be_pinned_in_place_of_versions(
    hopper: Device, held: Collateral
) -> None:
    first = judged(hopper, held).presented
    assert first is not None
    pinned = troth.Policy.for_image({"nvidia": {"measurements": first.registers["measurements"]}})
    assert judged(hopper, held, policy=pinned).verdict is Verdict.ACCEPTED
    other = troth.Policy.for_image({"nvidia": {"measurements": "11" * 48}})
    assert failing(judged(hopper, held, policy=other)) == {"M201"}


def test_a_policy_for_other_platforms_takes_no_gpu(hopper: Device, held: Collateral) -> None:
    other = troth.Policy.for_image({"tdx": {"mrtd": "11" * 48}})
    assert "P106" in failing(judged(hopper, held, policy=other))
    both = dataclasses.replace(other, requirements=policy_for(hopper).requirements)
    assert judged(hopper, held, policy=both).verdict is Verdict.ACCEPTED


def test_a_policy_for_vendors_alone_takes_no_simulator(hopper: Device, held: Collateral) -> None:
    strict = dataclasses.replace(policy_for(hopper), roots_allow=frozenset({RootClass.VENDOR}))
    assert failing(judged(hopper, held, policy=strict)) == {"P102"}


@pytest.mark.parametrize("place", [1, 2, 3])
@pytest.mark.parametrize("status", [Status.REVOKED, Status.HOLD, Status.UNKNOWN])
def test_what_is_said_of_each_certificate(hopper: Device, place: int, status: Status) -> None:
    held = collateral([hopper], ANSWERED, status={hopper.chain[place].der: status})
    found = judged(hopper, held)
    match status:
        case Status.REVOKED:
            assert failing(found) == {"R203"}
        case Status.HOLD:
            assert failing(found) == {"R205"}
            allowed = policy_for(hopper, hold="allowed")
            assert judged(hopper, held, policy=allowed).verdict is Verdict.ACCEPTED
        case _:
            assert failing(found) == set()
            assert still_open(found) == {"R203", "R204"}


@pytest.mark.parametrize("status", [Status.REVOKED, Status.HOLD, Status.UNKNOWN])
def test_what_is_said_of_a_documents_signer(hopper: Device, status: Status) -> None:
    signer = hopper.pki.rim_signers["GH100"][0]
    held = collateral([hopper], ANSWERED, status={signer.der: status})
    found = judged(hopper, held)
    assert (
        failing(found)
        == {
            Status.REVOKED: {"R203"},
            Status.HOLD: {"R205"},
            Status.UNKNOWN: set(),
        }[status]
    )
    assert found.verdict is not Verdict.ACCEPTED


def test_stale_answers(hopper: Device) -> None:
    for answered, verdict in (
        (AT - timedelta(days=2), Verdict.ACCEPTED),  # both ends belong to the window
        (AT - timedelta(days=2, seconds=1), Verdict.UNDECIDED),
        (AT, Verdict.ACCEPTED),
        (AT + timedelta(seconds=1), Verdict.UNDECIDED),
    ):
        found = judged(hopper, collateral([hopper], answered))
        assert found.verdict is verdict, answered
        assert failing(found) == set()


def test_a_revocation_counts_for_ever_and_a_hold_until_it_is_lifted(hopper: Device) -> None:
    old = AT - timedelta(days=30)
    fresh = collateral([hopper], ANSWERED)
    brom = hopper.chain[1].der
    revoked = collateral([hopper], old, status={brom: Status.REVOKED})
    lifted = collateral([hopper], old, status={brom: Status.HOLD})
    assert failing(judged(hopper, fresh + revoked)) == {"R203"}
    assert judged(hopper, lifted + fresh).verdict is Verdict.ACCEPTED
    # Of two that are current the newer one counts.
    newer = collateral([hopper], AT - timedelta(hours=1), status={brom: Status.HOLD})
    assert failing(judged(hopper, fresh + newer)) == {"R205"}


def test_an_answer_about_the_leaf_counts_where_there_is_one(
    hopper: Device, held: Collateral
) -> None:
    for status, code in ((Status.REVOKED, "R203"), (Status.HOLD, "R205")):
        answer = simulate_pki.answer(hopper.leaf.certificate, hopper.brom, ANSWERED, status=status)
        mixed = held + Collateral(items=(ocsp_item(answer),))
        assert failing(judged(hopper, mixed)) == {code}


def test_dates_are_asked_though_they_never_protect(hopper: Device, held: Collateral) -> None:
    found = judged(hopper, held, at=START - timedelta(seconds=1))
    assert {"G103", "R202"} <= failing(found)


def test_evidence_of_fifty_megabytes(hopper: Device, held: Collateral) -> None:
    data = hopper.report(NONCE)
    for huge in (
        data + b"-----BEGIN " + b"A" * 50_000_000,
        data + hopper.pem * 4000,
        b"[" + b" " * 50_000_000,
        data.hex().encode() + b"0" * 50_000_000,
    ):
        assert refused(hopper, held, huge)


def test_malformed_collateral_is_told_and_counts_nothing(hopper: Device, held: Collateral) -> None:
    junk = Collateral(items=(rim_item(b"<SoftwareIdentity>"), ocsp_item(b"0")))
    assert judged(hopper, junk + held).verdict is Verdict.ACCEPTED
    found = judged(hopper, junk)
    assert failing(found) == set()
    assert any("RIM document" in check.why for check in of(found.checks, "R201"))
    assert any("OCSP answer" in check.why for check in of(found.checks, "R204"))


def test_libraries_that_are_not_there_leave_it_open(
    hopper: Device, held: Collateral, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from troth.platforms.nvidia import rim as documents

    documents.read.cache_clear()
    monkeypatch.setitem(sys.modules, "signxml", None)
    found = judged(hopper, Collateral(items=held.items))
    assert failing(found) == set()
    assert {"R201", "M401"} <= still_open(found)
    assert all(
        "troth[gpu]" in c.why for c in of(found.checks, "R201") if c.outcome is Outcome.UNDECIDED
    )
    documents.read.cache_clear()
