"""Attacks on a device's evidence, each under its name: refused, or left open where nothing tells."""

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.platforms.nvidia.made import (
    ANSWERED,
    NONCE,
    START,
    failing,
    judged,
    remade,
    rim_item,
    rims,
    still_open,
    without,
)

from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.nvidia import simulate_pki
from troth.platforms.nvidia.device import BLACKWELL, HOPPER, LS10
from troth.platforms.nvidia.format import Field
from troth.platforms.nvidia.simulate import (
    FWID,
    Device,
    collateral,
    rim,
    signed,
)
from troth.platforms.nvidia.simulate_pki import FOREVER, DevelopmentPki, authority

ALL = [HOPPER, BLACKWELL, LS10]


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
    assert still_open(found) == {
        *("G101", "G102", "G103", "G104", "G204", "G302", "G303", "M401"),
        *("P102", "R103", "R201", "R202", "R203", "R204", "R205"),
    }


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
