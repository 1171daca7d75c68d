"""GPUs in a document of version 3: counted, bound by their bytes and by the nonce, and what that leaves open."""

import base64
import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.channel.services.tinfoil_made import NONCE, ask, judged, of_image, quote
from tests.platforms.dcap.made import NOW, PKI
from tests.platforms.nvidia.made import GPU, START

from troth.channel.services import Found
from troth.channel.services import tinfoil_document as documents
from troth.channel.services.simulate.tinfoil import Enclave
from troth.model.collateral import Collateral
from troth.model.report import Report, Verdict
from troth.platforms.nvidia import simulate
from troth.platforms.nvidia.simulate import Device
from troth.platforms.nvidia.simulate_pki import DevelopmentPki
from troth.policy import Policy
from troth.wire import json

FORMAT = "https://tinfoil.sh/format/nvidia-gpu-evidence/v1"


@pytest.fixture(scope="module")
def gpus() -> list[Device]:
    if importlib.util.find_spec("signxml") is None:
        pytest.skip("signxml is not installed (pip install 'troth[gpu]')")
    pki = DevelopmentPki.create(START)
    return [Device.create(pki, "hopper", START) for _ in range(3)]


@pytest.fixture(scope="module")
def held(gpus: list[Device]) -> Collateral:
    return PKI.collateral() + simulate.collateral(gpus, NOW - timedelta(hours=3))


def items(devices: Sequence[Device], nonce: bytes) -> list[dict[str, Any]]:
    return [
        {
            "id": f"gpu{at}",
            "kind": "gpu",
            "vendor": "nvidia",
            "format": FORMAT,
            "evidence": device.entry(nonce),
        }
        for at, device in enumerate(devices)
    ]


def policy(count: int) -> Policy:
    return replace(of_image(parts={"nvidia": count}), requirements={"nvidia": GPU})


@pytest.fixture
def verdict(gpus: list[Device], held: Collateral) -> Callable[..., Report]:
    def of(found: Found, count: int = 2) -> Report:
        trust = [*PKI.roots(), *gpus[0].pki.roots()]
        return judged(found, policy(count), trust=trust, collateral=held)

    return of


def failing(report: Report) -> set[str]:
    reports = (report, *(joined.report for joined in report.parts))
    return {c.code.id for one in reports for c in one.checks if c.outcome == "failed"}


@pytest.fixture(scope="module")
def enclave(gpus: list[Device]) -> Iterator[Enclave]:
    with Enclave(quote, platform="tdx", devices=lambda nonce: items(gpus[:2], nonce)) as made:
        yield made


def with_devices(section: bytes) -> Callable[[bytes | None, bytes], bytes]:
    """Somebody between who puts another section in, and makes the document agree with itself."""

    def present(nonce: bytes | None, true: bytes) -> bytes:
        value = json.parse(true, field="")
        crypto = base64.b64decode(value["crypto_material"])
        value["device_evidence"] = base64.b64encode(section).decode()
        endorsed = value["cpu_evidence"]["endorsed"]
        endorsed["device_evidence_hash"] = hashlib.sha256(section).hexdigest()
        bound = documents.report_data(nonce or b"", crypto, section)
        value["challenge"]["report_data"] = bound.hex()
        return json.canonical(value)

    return present


def section(devices: Sequence[Device], nonce: bytes = NONCE) -> bytes:
    return json.canonical({"format": documents.DEVICE_EVIDENCE, "items": items(devices, nonce)})


def test_a_machine_with_its_gpus_is_accepted(
    enclave: Enclave, verdict: Callable[..., Report]
) -> None:
    found = ask(enclave.url)
    assert [part.name for part in found.composite.parts] == ["cpu", "gpu-0", "gpu-1"]
    assert all(part.nonce == NONCE for part in found.composite.parts[1:])
    report = verdict(found)
    assert report.verdict is Verdict.ACCEPTED, failing(report)


@pytest.mark.parametrize("count", [1, 3])
def test_gpus_are_counted(count: int, enclave: Enclave, verdict: Callable[..., Report]) -> None:
    assert "P107" in failing(verdict(ask(enclave.url), count))


def test_stripped_gpu_tinfoil(gpus: list[Device], verdict: Callable[..., Report]) -> None:
    """One of two left away between the guest and us, and by the guest itself."""
    show = with_devices(section(gpus[:1]))
    with Enclave(
        quote, platform="tdx", devices=lambda nonce: items(gpus[:2], nonce), present=show
    ) as liar:
        assert failing(verdict(ask(liar.url))) == {"B501", "P107"}
        assert failing(verdict(ask(liar.url), 1)) == {"B501"}
    with Enclave(quote, platform="tdx", devices=lambda nonce: items(gpus[:1], nonce)) as poor:
        assert failing(verdict(ask(poor.url))) == {"P107"}


def test_gpu_of_another_machine_tinfoil(gpus: list[Device], verdict: Callable[..., Report]) -> None:
    """Put in on the way, it is refused: REPORT_DATA endorses the bytes that the guest collected."""
    show = with_devices(section([gpus[0], gpus[2]]))
    with Enclave(
        quote, platform="tdx", devices=lambda nonce: items(gpus[:2], nonce), present=show
    ) as liar:
        assert failing(verdict(ask(liar.url))) == {"B501"}


def test_gpu_of_another_machine_that_the_guest_fetched_is_shown_as_not_bound(
    gpus: list[Device], verdict: Callable[..., Report]
) -> None:
    with Enclave(quote, platform="tdx", devices=lambda nonce: items(gpus[1:], nonce)) as borrower:
        found = ask(borrower.url)
    assert verdict(found).verdict is Verdict.ACCEPTED
    assert any("sit in this machine" in sentence for sentence in found.not_bound)


def test_old_nonce_tinfoil_of_a_gpu(gpus: list[Device], verdict: Callable[..., Report]) -> None:
    with Enclave(quote, platform="tdx", devices=lambda _: items(gpus[:2], bytes(32))) as lazy:
        assert failing(verdict(ask(lazy.url))) == {"B101"}


def test_a_gpu_twice_is_one(gpus: list[Device], verdict: Callable[..., Report]) -> None:
    with Enclave(quote, platform="tdx", devices=lambda nonce: items([gpus[0]] * 2, nonce)) as poor:
        assert failing(verdict(ask(poor.url))) == {"B502"}


def test_more_devices_than_a_composite_holds_are_refused(gpus: list[Device]) -> None:
    from troth.errors import Malformed

    with (
        Enclave(quote, platform="tdx", devices=lambda nonce: items(gpus * 11, nonce)) as many,
        pytest.raises(Malformed, match="at most"),
    ):
        ask(many.url)
