"""Switches in the place of GPUs: one section of a policy, and one number, is for both."""

from collections.abc import Sequence

import pytest
from tests.platforms.nvidia.made import ANSWERED, AT, NONCE, START

import troth
from troth.model.check import Outcome
from troth.model.report import Report, Verdict
from troth.platforms.nvidia.simulate import (
    DRIVER_VERSION,
    SWITCH_VERSION,
    VBIOS_VERSION,
    Device,
    collateral,
    fabric,
    sdk_json,
)
from troth.platforms.nvidia.simulate_pki import DevelopmentPki
from troth.policy.requirements import Requirements

BOTH = Requirements(
    driver_version=frozenset({DRIVER_VERSION}),
    vbios_version=frozenset({VBIOS_VERSION, SWITCH_VERSION}),
)


@pytest.fixture(scope="module")
def machine() -> tuple[tuple[Device, ...], tuple[Device, ...]]:
    pytest.importorskip("signxml", reason="pip install 'troth[gpu]'")
    return fabric(DevelopmentPki.create(START), START, gpus=2, switches=4)


def judged(devices: Sequence[Device]) -> Report:
    return troth.appraise(
        sdk_json(devices, NONCE) if len(devices) > 1 else devices[0].evidence(NONCE),
        policy=troth.Policy(
            name="both",
            requirements={"nvidia": BOTH},
            parts={"nvidia": len(devices) - 1} if len(devices) > 1 else {},
        ),
        at=AT,
        nonce=NONCE,
        trust=devices[0].pki.roots(),
        collateral=collateral(devices, ANSWERED),
    )


def test_switches_alone_are_no_gpus(
    machine: tuple[tuple[Device, ...], tuple[Device, ...]],
) -> None:
    """Each is genuine, and the policy asks a switch for nothing that only a GPU has."""
    gpus, switches = machine
    assert judged((*gpus, *switches)).verdict is Verdict.ACCEPTED
    for some in (switches, switches[:2]):
        report = judged(some)
        assert report.verdict is Verdict.UNDECIDED
        left = {c.code.id for c in report.checks if c.outcome is Outcome.UNDECIDED}
        assert left == {"B503"}
    assert judged(switches[:1]).verdict is Verdict.ACCEPTED  # shown as the one thing that it is
