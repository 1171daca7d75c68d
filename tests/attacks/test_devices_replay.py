"""A file of several devices names a nonce: it must not stand in the place of the caller's."""

from collections.abc import Callable

import pytest
from tests.platforms.nvidia.made import ANSWERED, AT, GPU, NONCE, START

import troth
from troth.model.check import Outcome
from troth.model.report import Verdict
from troth.platforms.nvidia.device import HOPPER
from troth.platforms.nvidia.simulate import Device, collateral, nras_json, sdk_json
from troth.platforms.nvidia.simulate_pki import DevelopmentPki

OLD = b"\x99" * 32
POLICY = troth.Policy(name="two", requirements={"nvidia": GPU}, parts={"nvidia": 1})


@pytest.fixture(scope="module")
def devices() -> list[Device]:
    pytest.importorskip("signxml", reason="pip install 'troth[gpu]'")
    pki = DevelopmentPki.create(START)
    return [Device.create(pki, HOPPER, START) for _ in range(2)]


@pytest.mark.parametrize("dump", [sdk_json, nras_json])
@pytest.mark.parametrize(
    ("carried", "asked", "found"),
    [
        (NONCE, NONCE, (Verdict.ACCEPTED, set())),
        (OLD, NONCE, (Verdict.REJECTED, {"B101", "R101"})),
        (OLD, None, (Verdict.UNDECIDED, {"R101"})),
    ],
)
def test_an_old_file_of_several_devices(
    devices: list[Device],
    dump: Callable[..., bytes],
    carried: bytes,
    asked: bytes | None,
    found: tuple[Verdict, set[str]],
) -> None:
    verdict, codes = found
    report = troth.appraise(
        dump(devices, carried),
        policy=POLICY,
        at=AT,
        nonce=asked,
        trust=devices[0].pki.roots(),
        collateral=collateral(devices, ANSWERED),
    )
    assert report.verdict is verdict
    for one in (report, *(part.report for part in report.parts)):
        assert {c.code.id for c in one.checks if c.outcome is not Outcome.PASSED} == codes
