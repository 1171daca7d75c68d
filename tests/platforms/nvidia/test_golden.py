"""Reference values: every index counts, and what stands in for the documents does not."""

import dataclasses

import pytest
from tests.platforms.nvidia.made import (
    NONCE,
    START,
    answers,
    failing,
    judged,
    of,
    remade,
    rim_item,
    rims,
    still_open,
    without,
)

from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.nvidia.device import BLACKWELL, HOPPER, LS10
from troth.platforms.nvidia.format import OFF, Field
from troth.platforms.nvidia.simulate import (
    DRIVER_VERSION,
    VBIOS_VERSION,
    Device,
    rim,
)
from troth.platforms.nvidia.simulate_pki import DevelopmentPki

ALL = [HOPPER, BLACKWELL, LS10]


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


def test_an_index_that_the_report_has_not(switch: Device, held: Collateral) -> None:
    """The first past the end, too."""
    ((version, golden),) = switch.golden()
    for index in (31, 63):
        document = rim(switch.pki, "LS10", version, {**golden, index: (bytes(48),)})
        mixed = Collateral(items=(rim_item(document), *answers(held)))
        found = judged(switch, mixed)
        assert failing(found) == {"M401"}
        assert f"index {index} of the VBIOS RIM" in of(found.checks, "M401")[0].why
