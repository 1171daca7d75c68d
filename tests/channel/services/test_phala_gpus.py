"""GPUs in the older reports: each carries the nonce, none is bound to the CPU, and a policy counts them."""

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.platforms.dcap.made import NOW
from tests.platforms.nvidia.made import GPU, START

import troth
from troth.channel import services
from troth.channel.services import phala
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate.phala import Phala
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.collateral import Collateral
from troth.model.report import Report, Verdict
from troth.platforms.nvidia import simulate
from troth.platforms.nvidia.simulate import Device
from troth.platforms.nvidia.simulate_pki import DevelopmentPki

GUEST = Guest.create(NOW)
Handed = Callable[[bytes], Sequence[Device]]


@pytest.fixture(scope="module")
def gpus() -> list[Device]:
    if importlib.util.find_spec("signxml") is None:
        pytest.skip("signxml is not installed (pip install 'troth[gpu]')")
    pki = DevelopmentPki.create(START)
    return [Device.create(pki, "hopper", START) for _ in range(3)]


@pytest.fixture(scope="module")
def held(gpus: list[Device]) -> Collateral:
    return GUEST.collateral + simulate.collateral(gpus, NOW - timedelta(hours=3))


class WithGpus(Phala):
    """A server with GPUs; `nonce` is what its GPUs are asked with, where that is another."""

    devices: Sequence[Device] = ()
    nonce: bytes | None = None

    def gpus(self, nonce: bytes) -> dict[str, Any] | None:
        asked = self.nonce or nonce
        value: dict[str, Any] = json.loads(simulate.nras_json(self.devices, asked))
        return value


@pytest.fixture
def verdict(gpus: list[Device], held: Collateral) -> Callable[..., Report]:
    def of(devices: Sequence[Device], *, count: int = 2, nonce: bytes | None = None) -> Report:
        with WithGpus(guest=GUEST) as service:
            service.devices, service.nonce = devices, nonce
            found = services.ask(service.url, [phala.SERVICE], seconds=20).found
        policy = replace(
            troth.Policy.for_image({"tdx": dict(GUEST.registers)}),
            channel=Binding.KEY,
            parts={"nvidia": count},
            requirements={"nvidia": GPU},
        )
        return troth.appraise(
            found.composite,
            policy=policy,
            at=NOW,
            nonce=found.nonce,
            channel=found.binding,
            trust=[*GUEST.roots, *gpus[0].pki.roots()],
            collateral=held,
        )

    return of


def failing(report: Report) -> set[str]:
    every = (report, *(part.report for part in report.parts))
    return {c.code.id for one in every for c in one.checks if c.outcome is Outcome.FAILED}


def test_a_machine_with_its_gpus_is_accepted(
    gpus: list[Device], verdict: Callable[..., Report]
) -> None:
    report = verdict(gpus[:2])
    assert report.verdict is Verdict.ACCEPTED, failing(report)
    assert [part.name for part in report.parts] == ["gpu-0", "gpu-1"]


def test_stripped_gpu_phala_with_gpus(gpus: list[Device], verdict: Callable[..., Report]) -> None:
    assert failing(verdict(gpus[:1])) == {"P107"}


def test_one_gpu_shown_twice(gpus: list[Device], verdict: Callable[..., Report]) -> None:
    assert failing(verdict([gpus[0], gpus[0]])) == {"B502"}


def test_old_nonce_of_a_gpu(gpus: list[Device], verdict: Callable[..., Report]) -> None:
    assert "B101" in failing(verdict(gpus[:2], nonce=b"\x07" * 32))


def test_gpu_of_another_machine_phala(gpus: list[Device], verdict: Callable[..., Report]) -> None:
    """Handed the nonce, another machine's GPU is as good: the protocol binds no more, and that is said."""
    report = verdict([gpus[0], gpus[2]])
    assert report.verdict is Verdict.ACCEPTED
    assert all("nothing of the CPU" in part.says for part in report.parts)
    assert any("another machine" in sentence for sentence in phala.NOT_BOUND)
