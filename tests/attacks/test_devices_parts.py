"""A policy for a machine with a GPU, and GPUs alone: one leads, and the machine's section is never asked."""

import pytest
from tests.platforms.nvidia.made import ANSWERED, AT, GPU, NONCE, START

import troth
from troth.model.report import Verdict
from troth.platforms.nvidia.device import HOPPER
from troth.platforms.nvidia.simulate import Device, collateral, sdk_json
from troth.platforms.nvidia.simulate_pki import DevelopmentPki

TD = {"tdx": {"mrtd": frozenset({"ab" * 48})}}
ENCLAVE = {"nitro": {"pcr0": frozenset({"ab" * 48})}}


@pytest.mark.parametrize(
    "machine", [TD, ENCLAVE, TD | ENCLAVE, {}], ids=["tdx", "nitro", "either", "none"]
)
def test_a_gpu_in_the_place_of_the_machine(machine: dict[str, dict[str, frozenset[str]]]) -> None:
    pytest.importorskip("signxml", reason="pip install 'troth[gpu]'")
    pki = DevelopmentPki.create(START)
    devices = [Device.create(pki, HOPPER, START) for _ in range(2)]
    report = troth.appraise(
        sdk_json(devices, NONCE),
        policy=troth.Policy(
            name="a machine with a GPU",
            registers=machine,
            requirements={"nvidia": GPU},
            parts={"nvidia": 1},
        ),
        at=AT,
        nonce=NONCE,
        trust=pki.roots(),
        collateral=collateral(devices, ANSWERED),
    )
    # Where the policy names nothing but GPUs, one of them leads.
    assert report.verdict is (Verdict.REJECTED if machine else Verdict.ACCEPTED)
    found = {check.subject: check for check in report.checks if check.code.id == "P107"}
    assert set(found) == ({"parts", "gpu-0"} if machine else {"parts"})
