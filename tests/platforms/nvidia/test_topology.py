"""GPUs and switches of one machine, and machines with a part missing, too many, or of another."""

import dataclasses
from pathlib import Path

import pytest
from tests.platforms.nvidia.made import ANSWERED, AT, NONCE, START, evidence, file

import troth
from troth.model.check import Outcome
from troth.model.composite import Composite, Part
from troth.model.report import Report, Verdict
from troth.platforms.nvidia import carrier, topology
from troth.platforms.nvidia.format import Document, Field, parse
from troth.platforms.nvidia.simulate import (
    DRIVER_VERSION,
    SWITCH_VERSION,
    VBIOS_VERSION,
    Device,
    collateral,
    fabric,
)
from troth.platforms.nvidia.simulate_pki import DevelopmentPki
from troth.policy.requirements import Requirements

Machine = dict[str, Device]


@pytest.fixture(scope="module")
def machine(pki: DevelopmentPki) -> Machine:
    gpus, switches = fabric(pki, START)
    named = {f"gpu-{n}": gpu for n, gpu in enumerate(gpus)}
    return named | {f"switch-{n}": switch for n, switch in enumerate(switches)}


def documents(machine: Machine) -> dict[str, Document]:
    return {name: parse(device.evidence(NONCE)) for name, device in machine.items()}


def saying(device: Device, field: Field, value: bytes | None) -> Device:
    return dataclasses.replace(device, opaque={**device.opaque, field: value})


def problems(machine: Machine) -> str:
    return "; ".join(topology.check(documents(machine)).problems)


def test_a_whole_machine(machine: Machine) -> None:
    found = topology.check(documents(machine))
    assert found.problems == ()
    assert found.gpus == 8
    own = {str(machine[f"switch-{n}"].opaque[Field.PDI].hex()) for n in range(4)}  # type: ignore[union-attr]
    assert set(found.switches) == own
    assert found.same_gpus


def test_names_of_switches_are_the_other_way_round_in_a_gpu(machine: Machine) -> None:
    turned = {
        name: saying(d, Field.PDI, b"".join(_reversed(d.opaque[Field.PDI] or b"")))
        if name.startswith("gpu")
        else d
        for name, d in machine.items()
    }
    assert "which is not here" in problems(turned)


def _reversed(raw: bytes) -> list[bytes]:
    return [raw[at : at + 8][::-1] for at in range(0, len(raw), 8)]


@pytest.mark.parametrize("name", ["gpu-3", "switch-2"])
def test_a_part_is_missing(machine: Machine, name: str) -> None:
    found = problems({n: d for n, d in machine.items() if n != name})
    assert ("lists 8 GPUs, 7 are here" if name == "gpu-3" else "which is not here") in found


def test_a_switch_of_another_machine(machine: Machine, pki: DevelopmentPki) -> None:
    _, (foreign, *_) = fabric(pki, START, gpus=8, switches=5)
    foreign = saying(foreign, Field.PDI, b"another!")
    swapped = problems({**machine, "switch-0": foreign})
    assert "is linked to the switch" in swapped
    assert "is not linked to the switch" in swapped
    added = problems({**machine, "switch-4": foreign})
    assert "is not linked to the switch" in added


def test_one_device_in_two_places(machine: Machine) -> None:
    doubled = {**machine, "gpu-7": machine["gpu-0"]}
    assert "gpu-0 and gpu-7 are one device" in problems(doubled)
    # The same device with another leaf, as after another start.
    again = dataclasses.replace(machine["gpu-7"], brom=machine["gpu-0"].brom)
    assert "gpu-0 and gpu-7 are one device" in problems({**machine, "gpu-7": again})


def test_no_gpu_and_no_switch(machine: Machine) -> None:
    switches = {n: d for n, d in machine.items() if n.startswith("switch")}
    gpus = {n: d for n, d in machine.items() if n.startswith("gpu")}
    assert "there is no GPU" in problems(switches)
    assert "there is no switch" in problems(gpus)
    assert problems({})


def test_a_gpu_in_another_mode(machine: Machine) -> None:
    other = saying(machine["gpu-0"], Field.FEATURE_FLAG, b"\0\0")
    assert "gpu-0 is not in protected PCIe mode" in problems({**machine, "gpu-0": other})


@pytest.mark.parametrize("value", [None, b"", bytes(144), b"1234567"])
def test_a_gpu_that_lists_no_switches(machine: Machine, value: bytes | None) -> None:
    silent = saying(machine["gpu-0"], Field.PDI, value)
    assert "gpu-0 lists no switches" in problems({**machine, "gpu-0": silent})


@pytest.mark.parametrize("value", [None, b"", bytes(8), b"1234567", b"12345678"])
def test_a_switch_that_does_not_name_itself(machine: Machine, value: bytes | None) -> None:
    silent = saying(machine["switch-0"], Field.PDI, value)
    assert "switch-0 does not name itself" in problems({**machine, "switch-0": silent})


def test_two_switches_of_one_name(machine: Machine) -> None:
    twin = saying(machine["switch-1"], Field.PDI, machine["switch-0"].opaque[Field.PDI])
    assert "switch-1 does not name itself" in problems({**machine, "switch-1": twin})
    assert "two switches have one name" in problems({**machine, "switch-1": twin})


def test_switches_that_list_different_gpus(machine: Machine) -> None:
    raw = machine["switch-0"].opaque[Field.SWITCH_GPU_PDIS] or b""
    other = saying(machine["switch-0"], Field.SWITCH_GPU_PDIS, b"stranger" + raw[8:])
    assert "the switches list different GPUs" in problems({**machine, "switch-0": other})
    assert not topology.check(documents({**machine, "switch-0": other})).same_gpus
    fewer = saying(machine["switch-0"], Field.SWITCH_GPU_PDIS, bytes(8) + raw[8:])
    assert "switch-0 lists 7 GPUs, 8 are here" in problems({**machine, "switch-0": fewer})
    torn = saying(machine["switch-0"], Field.SWITCH_GPU_PDIS, raw + b"1")
    assert "switch-0 lists 8 GPUs, 8 are here" in problems({**machine, "switch-0": torn})


def test_gpus_of_another_machine_in_the_place_of_these(
    machine: Machine, pki: DevelopmentPki
) -> None:
    """As many, and linked to the same switches by their own word: only the names in serial numbers tell."""
    foreign = {
        f"gpu-{n}": Device.create(pki, "hopper", START, opaque=machine["gpu-0"].opaque)
        for n in range(8)
    }
    found = topology.check(documents({**machine, **foreign}))
    assert found.problems == ()
    assert not found.same_gpus


def test_a_real_switch_names_itself_as_its_certificate_does(vectors: Path) -> None:
    switch = parse(evidence(vectors, "switch-ls10"))
    found = topology.check({"switch-0": switch})
    assert not any("name itself" in problem for problem in found.problems)
    assert not found.same_gpus


def test_real_gpus_of_one_machine_agree_on_their_switches(vectors: Path) -> None:
    carried = carrier.open_json(file(vectors, "evidence-4xh100.json"))
    assert carried is not None
    found = topology.check({f"gpu-{n}": d for n, d in enumerate(carried.documents)})
    assert found.gpus == 4
    assert found.problems[-1] == "there is no switch"
    linked = {problem.split("the switch ")[1] for problem in found.problems[:-1]}
    assert len(linked) == 4
    assert len(found.problems) == 4 * 4 + 1
    switch = parse(evidence(vectors, "switch-ls10"))
    assert topology.check({"switch-0": switch}).switches == (switch.opaque[Field.PDI].hex(),)


def together(
    machine: Machine, left_out: str = "", *, change: dict[str, Device] | None = None
) -> Report:
    """The verdict on a machine whose first GPU leads."""
    shown = {
        name: device for name, device in (machine | (change or {})).items() if name != left_out
    }
    parts = tuple(
        Part(name=name, evidence=device.evidence(NONCE), says="carries your nonce")
        for name, device in shown.items()
    )
    asked = Requirements(
        driver_version=frozenset({DRIVER_VERSION}),
        vbios_version=frozenset({VBIOS_VERSION, SWITCH_VERSION}),
        mode=frozenset({"ppcie"}),
    )
    policy = troth.Policy(
        name="machine", requirements={"nvidia": asked}, parts={"nvidia": len(parts) - 1}
    )
    devices = [*machine.values(), *(change or {}).values()]
    return troth.appraise(
        Composite(parts=parts),
        policy=policy,
        at=AT,
        nonce=NONCE,
        trust=devices[0].pki.roots(),
        collateral=collateral(devices, ANSWERED),
    )


def open_or_failed(report: Report) -> set[str]:
    every = (report, *(part.report for part in report.parts))
    return {c.code.id for one in every for c in one.checks if c.outcome is not Outcome.PASSED}


def test_a_whole_machine_is_accepted(pki: DevelopmentPki) -> None:
    gpus, switches = fabric(pki, START, gpus=2, switches=2)
    small = {f"gpu-{n}": one for n, one in enumerate(gpus)}
    small |= {f"switch-{n}": one for n, one in enumerate(switches)}
    whole = together(small)
    assert open_or_failed(whole) == set()
    assert "B503" in {check.code.id for check in whole.checks}
    # Counted right, and one is not there to which the others are linked.
    for left_out in ("gpu-1", "switch-1"):
        report = together(small, left_out)
        assert (report.verdict, open_or_failed(report)) == (Verdict.REJECTED, {"B503"})
    other = fabric(pki, START, gpus=3, switches=2)[1][0]
    moved = dataclasses.replace(other, opaque={**other.opaque, Field.PDI: bytes(range(8))})
    assert "B503" in open_or_failed(together(small, change={"switch-1": moved}))


def test_gpus_that_speak_over_links_without_their_switches(pki: DevelopmentPki) -> None:
    gpus, _ = fabric(pki, START, gpus=2, switches=2)
    report = together({f"gpu-{n}": one for n, one in enumerate(gpus)})
    assert (report.verdict, open_or_failed(report)) == (Verdict.UNDECIDED, {"B503"})


def test_the_certified_name_is_in_the_second_certificate(machine: Machine) -> None:
    gpu = documents(machine)["gpu-0"]
    named = topology._certified(gpu)
    assert any(named)
    for count, wanted in ((5, named), (2, named), (1, b""), (0, b"")):
        short = dataclasses.replace(gpu, chain=gpu.chain[:count])
        assert topology._certified(short) == wanted
