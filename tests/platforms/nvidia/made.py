"""What the tests of NVIDIA's evidence share: rows of the vectors, a policy, and how to ask for a verdict."""

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import troth
from troth.errors import TrothError
from troth.model.check import Check, Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Report
from troth.model.roots import Root
from troth.platforms.nvidia import PLATFORM
from troth.platforms.nvidia.simulate import (
    DRIVER_VERSION,
    SWITCH_VERSION,
    VBIOS_VERSION,
    Device,
)
from troth.policy.requirements import Requirements

START = datetime(2026, 1, 1, tzinfo=UTC)
AT = datetime(2026, 11, 1, tzinfo=UTC)
ANSWERED = AT - timedelta(hours=3)
NONCE = bytes(range(32))
GPU = Requirements(
    driver_version=frozenset({DRIVER_VERSION}), vbios_version=frozenset({VBIOS_VERSION})
)
SWITCH = Requirements(vbios_version=frozenset({SWITCH_VERSION}))

ALONE = {
    "gpu-gb100-575.32": "gpu-gb100-575.32",
    "gpu-h100-550.90.07": "gpu-h100-550.90.07",
    "gpu-h100-580.159.03": "gpu-h100-580.159.03",
    "gpu-h100-560.00.invalid-signature": "gpu-h100-580.159.03",
    "switch-ls10": "switch-ls10",
    "switch-ls10.invalid-signature": "switch-ls10",
}
"""Reports that stand alone as hex, with the chain that belongs to each."""


def rows(vectors: Path) -> Iterator[dict[str, str]]:
    with (vectors / "nvidia" / "MANIFEST.tsv").open(newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def file(vectors: Path, name: str) -> bytes:
    return (vectors / "nvidia" / name).read_bytes()


def report(vectors: Path, name: str) -> bytes:
    return bytes.fromhex(file(vectors, f"{name}.report.hex").decode())


def evidence(vectors: Path, name: str) -> bytes:
    """A report with its chain."""
    return report(vectors, name) + file(vectors, f"{ALONE[name]}.chain.pem")


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def policy_for(device: Device, **more: object) -> troth.Policy:
    """One that names the versions that the device should have."""
    words = {"vbios_version": frozenset({SWITCH_VERSION})}
    if device.driver_version:
        words = {
            "driver_version": frozenset({DRIVER_VERSION}),
            "vbios_version": frozenset({VBIOS_VERSION}),
        }
    asked = Requirements(**{**words, **more})  # type: ignore[arg-type]
    return troth.Policy(name="simulated", requirements={"nvidia": asked})


def judged(
    device: Device,
    held: Collateral,
    *,
    evidence: bytes | None = None,
    policy: troth.Policy | None = None,
    at: datetime = AT,
    trust: Sequence[Root] | None = None,
) -> Report:
    """The report on a device's evidence under its development roots."""
    return troth.appraise(
        device.evidence(NONCE) if evidence is None else evidence,
        policy=policy or policy_for(device),
        at=at,
        nonce=NONCE,
        trust=device.pki.roots() if trust is None else trust,
        collateral=held,
    )


def refused(device: Device, held: Collateral, evidence: bytes) -> bool:
    """Whether it is not accepted; anything but our errors fails the test."""
    try:
        troth.verify(
            evidence,
            policy=policy_for(device),
            at=AT,
            nonce=NONCE,
            trust=device.pki.roots(),
            collateral=held,
        )
    except TrothError:
        return True
    return False


def codes(report: Report, outcome: Outcome) -> set[str]:
    return {check.code.id for check in report.checks if check.outcome is outcome}


def failing(report: Report) -> set[str]:
    return codes(report, Outcome.FAILED)


def still_open(report: Report) -> set[str]:
    return codes(report, Outcome.UNDECIDED)


def genuine(evidence: bytes, held: Collateral, at: datetime = AT) -> tuple[Check, ...]:
    """What the platform finds under the vendor's roots alone."""
    return PLATFORM.genuine(PLATFORM.parse(evidence), PLATFORM.roots(), held, at).checks


def of(checks: Sequence[Check], code: str) -> list[Check]:
    return [check for check in checks if check.code.id == code]


def rim_item(data: bytes) -> Item:
    return Item(kind=Kind.NVIDIA_RIM, data=data, source="a test")


def ocsp_item(data: bytes) -> Item:
    return Item(kind=Kind.NVIDIA_OCSP, data=data, source="a test")


def without(held: Collateral, *unwanted: Item) -> Collateral:
    return Collateral(items=tuple(item for item in held.items if item not in unwanted))


def rims(held: Collateral) -> list[Item]:
    return [item for item in held.items if item.kind is Kind.NVIDIA_RIM]


def answers(held: Collateral) -> list[Item]:
    return [item for item in held.items if item.kind is Kind.NVIDIA_OCSP]


def remade(device: Device, **changes: object) -> Device:
    """The same device, saying something else of itself."""
    return dataclasses.replace(device, **changes)  # type: ignore[arg-type]
