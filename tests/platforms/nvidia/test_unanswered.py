"""What nobody asked, answered or allowed: open or refused; and revocation, whatever it says of whom."""

import dataclasses
from datetime import timedelta

import pytest
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
from troth.platforms.nvidia.format import Field
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.simulate import (
    DRIVER_VERSION,
    Device,
    collateral,
)
from troth.policy.requirements import Requirements


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


@pytest.mark.parametrize("place", [0, 1])
def test_a_root_that_is_due_for_review(hopper: Device, held: Collateral, place: int) -> None:
    """Both count: the one for devices, and the one for reference values."""
    roots = list(hopper.pki.roots())
    for day, verdict in ((-1, Verdict.UNDECIDED), (0, Verdict.ACCEPTED)):
        roots[place] = dataclasses.replace(roots[place], review_by=AT + timedelta(days=day))
        found = judged(hopper, held, trust=roots)
        assert found.verdict is verdict
        assert failing(found) == set()
        assert still_open(found) == (set() if verdict is Verdict.ACCEPTED else {"R103"})


def test_links_in_the_clear_are_said(hopper: Device, blackwell: Device, held: Collateral) -> None:
    on: dict[int, bytes | None] = {
        Field.PROTECTED_PCIE_STATUS: b"\xaa",
        Field.FEATURE_FLAG: b"\2\0",
    }
    for device, says in ((hopper, True), (blackwell, False)):
        joined = dataclasses.replace(device, opaque={**device.opaque, **on})
        for evidence, expected in ((joined.evidence(NONCE), says), (device.evidence(NONCE), False)):
            notes = " ".join(judged(device, held, evidence=evidence).notes)
            assert ("NVLink in the clear" in notes) is expected
