"""Every single bit of an accepted report and of its certificates: refused, whatever else is right."""

import random
from pathlib import Path

import pytest
from tests.platforms.nvidia.made import (
    NONCE,
    answers,
    evidence,
    flipped,
    genuine,
    judged,
    refused,
    report,
    rims,
    without,
)

from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.collateral import NONE, Collateral, Item
from troth.model.report import Verdict
from troth.platforms.nvidia.simulate import Device

PARTS = 4  # so that two processes share the work
CHAINED = ["gpu-gb100-575.32", "switch-ls10"]


def fails(data: bytes) -> bool:
    """Whether it is refused for itself, and not for what no row supplies."""
    try:
        return any(c.outcome is Outcome.FAILED for c in genuine(data, NONE))
    except Malformed:
        return True


@pytest.mark.parametrize("name", [pytest.param(CHAINED[0], marks=pytest.mark.slow), *CHAINED[1:]])
@pytest.mark.parametrize("part", range(PARTS))
def test_every_bit_of_a_real_report(vectors: Path, name: str, part: int) -> None:
    data = evidence(vectors, name)
    assert not fails(data)
    for bit in range(part, 8 * len(report(vectors, name)), PARTS):
        assert fails(flipped(data, bit)), bit


@pytest.mark.parametrize("name", CHAINED)
def test_bits_of_real_certificates(vectors: Path, name: str) -> None:
    """Every bit of the text: PEM has one form. The line end behind the last certificate is no part of it."""
    data = evidence(vectors, name)
    start, end = 8 * len(report(vectors, name)), 8 * len(data.rstrip(b"\r\n"))
    # Nothing asks the root's own signature: the certificate is pinned, and its key.
    for bit in random.Random(20261126).sample(range(start, end), 1500):
        assert fails(flipped(data, bit)), bit


@pytest.mark.parametrize("architecture", ["hopper", "blackwell", "ls10"])
def test_bits_of_every_kind(
    devices: dict[str, Device], held: Collateral, architecture: str
) -> None:
    device = devices[architecture]
    data = device.evidence(NONCE)
    assert not refused(device, held, data)
    for bit in random.Random(7).sample(range(8 * len(data.rstrip())), 250):
        assert refused(device, held, flipped(data, bit)), bit


def test_bits_of_a_document(hopper: Device, held: Collateral) -> None:
    """White space between attributes, and names that nobody reads, are under the digest, too.

    What is not: the certificates of the signers are found by their links, and white space in them.
    """
    driver = rims(held)[0]
    rest = without(held, driver)
    signed = driver.data.index(b"<ds:KeyInfo")
    for bit in random.Random(7).sample(range(8 * signed), 300):
        changed = Item(kind=driver.kind, data=flipped(driver.data, bit))
        mixed = Collateral(items=(changed, *rest.items))
        assert judged(hopper, mixed).verdict is not Verdict.ACCEPTED, bit


def test_bits_of_an_answer(hopper: Device, held: Collateral) -> None:
    """Its signature covers all that counts; of what stands behind, only a right responder helps."""
    answer = answers(held)[0]
    rest = without(held, answer)
    for bit in random.Random(7).sample(range(8 * len(answer.data)), 300):
        changed = Item(kind=answer.kind, data=flipped(answer.data, bit))
        mixed = Collateral(items=(changed, *rest.items))
        assert judged(hopper, mixed).verdict is not Verdict.ACCEPTED, bit
