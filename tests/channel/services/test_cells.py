"""The attacks that these protocols know nothing of: GPUs, receipts, logs, compositions.

None of the seven carries evidence of a GPU, or signs its answers, and only dstack brings an event log. So
such an attack is refused by what the policy asks for, or the report says that nothing of it is bound.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.channel import cells
from tests.channel.services.stage import asked, judged, now, pinned, wrong

from troth.channel.services import (
    Found,
    Service,
    contrast,
    dstack,
    evervault,
    flashbots,
    nitriding,
    oyster,
    ratls,
)
from troth.channel.services.simulate import contrast as contrast_made
from troth.channel.services.simulate import dstack as dstack_made
from troth.channel.services.simulate import evervault as evervault_made
from troth.channel.services.simulate import flashbots as flashbots_made
from troth.channel.services.simulate import nitriding as nitriding_made
from troth.channel.services.simulate import oyster as oyster_made
from troth.channel.services.simulate import ratls as ratls_made
from troth.channel.services.simulate._loopback import Loopback
from troth.channel.services.simulate._nitro import PCRS, Enclave
from troth.channel.services.simulate.dstack_guest import DstackGuest, event
from troth.model.channel import Binding
from troth.model.check import Outcome, Waiver
from troth.model.collateral import NONE, Collateral
from troth.model.report import Report, Verdict
from troth.model.roots import Root
from troth.model.statement import Status
from troth.platforms.dcap.simulate import DevelopmentPki
from troth.platforms.dcap.simulate_bodies import digest
from troth.verifier.statements import derive

NOW = now()
PKI = DevelopmentPki.create(NOW)
GUEST = DstackGuest.create(NOW, pki=PKI)
ENCLAVE = Enclave.create(NOW)
QUOTE = ratls_made.quoting(PKI, tdx=True)
TD = {name: digest(name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
NITRO = {f"pcr{i}": value for i, value in PCRS.items()}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A service that is set up right, and what a policy for it pins."""

    service: Service
    serve: Callable[[], Loopback]
    platform: str
    registers: dict[str, bytes]
    channel: Binding
    stale: bool = False


STAGES = {
    "dstack": Stage(
        service=dstack.SERVICE,
        serve=lambda: dstack_made.serve(GUEST, NOW),
        platform="tdx",
        registers=GUEST.registers,
        channel=Binding.KEY,
        stale=True,
    ),
    "oyster": Stage(
        service=oyster.SERVICE,
        serve=lambda: oyster_made.serve(ENCLAVE, bytes(64)),
        platform="nitro",
        registers=NITRO,
        channel=Binding.NONE,
    ),
    "nitriding": Stage(
        service=nitriding.SERVICE,
        serve=lambda: nitriding_made.serve(ENCLAVE, NOW),
        platform="nitro",
        registers=NITRO,
        channel=Binding.KEY,
    ),
    "evervault": Stage(
        service=evervault.SERVICE,
        serve=lambda: evervault_made.serve(ENCLAVE, NOW),
        platform="nitro",
        registers=NITRO,
        channel=Binding.KEY,
    ),
    "ratls": Stage(
        service=ratls.SERVICE,
        serve=lambda: ratls_made.serve(ratls_made.shown(QUOTE, NOW)),
        platform="tdx",
        registers=TD,
        channel=Binding.KEY,
        stale=True,
    ),
    "flashbots": Stage(
        service=flashbots.SERVICE,
        serve=lambda: flashbots_made.serve(QUOTE, NOW),
        platform="tdx",
        registers=TD,
        channel=Binding.SESSION,
    ),
    "contrast": Stage(
        service=contrast.SERVICE,
        serve=lambda: contrast_made.serve(QUOTE, NOW),
        platform="tdx",
        registers=TD,
        channel=Binding.KEY,
    ),
}


@functools.cache
def answer_of(name: str) -> Found:
    with STAGES[name].serve() as server:
        return asked(STAGES[name].service, server)


def judge(name: str, *, parts: dict[str, int] | None = None, **given: Any) -> Report:
    stage = STAGES[name]
    registers = stage.registers | given.pop("registers", {})
    policy = pinned(stage.platform, registers, channel=stage.channel, parts=parts or {})
    nitro = stage.platform == "nitro"
    roots: tuple[Root, ...] = (ENCLAVE.root,) if nitro else PKI.roots()
    collateral: Collateral = NONE if nitro else PKI.collateral()
    waive = frozenset({Waiver.FRESHNESS}) if stage.stale else frozenset()
    arguments = {"trust": roots, "collateral": collateral, "waive": waive} | given
    return judged(answer_of(name), policy=policy, **arguments)


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_is_right(name: str) -> None:
    good = Verdict.ACCEPTABLE_WITH_WAIVERS if STAGES[name].stale else Verdict.ACCEPTED
    assert judge(name).verdict is good


def stripped(name: str) -> None:
    """A policy that counts a GPU finds none, and no other part can be presented in its place."""
    report = judge(name, parts={"nvidia": 1})
    assert report.verdict is not Verdict.ACCEPTED and "P107" in wrong(report)
    assert len(answer_of(name).composite.parts) == 1


def of_another_machine(name: str) -> None:
    """The protocol has no place for a GPU's evidence, so none can be borrowed: it stays unknown."""
    stripped(name)
    said = {one.name: one.status for one in derive(judge(name))}
    assert said["gpu_attested"] is Status.UNKNOWN


def receipt(name: str) -> None:
    """Answers are not signed, which is said; what ties them to the evidence is the channel alone."""
    answer = answer_of(name)
    assert "receipt" not in answer.keys and answer.binding is not Binding.ANSWER
    assert cells.BY_TEST[f"test_receipt_for_another_body_{name}"].not_bound in answer.not_bound
    stage = STAGES[name]
    if stage.channel is Binding.NONE:
        policy = pinned(stage.platform, stage.registers, channel=Binding.ANSWER)
        report = judged(answer, policy=policy, trust=[ENCLAVE.root])
        assert wrong(report) == {"B302": Outcome.FAILED}


def log_changed(name: str) -> None:
    """None comes with the answer; one that a caller hands in must replay, or leaves it open."""
    assert answer_of(name).composite.lead.event_log is None
    entry = event("app-id", bytes(20))
    changed = json.dumps([entry | {"event_payload": "ee" * 20}]).encode()
    report = judge(name, event_log=changed)
    assert report.verdict is not Verdict.ACCEPTED
    assert {"M301", "M302"} & wrong(report).keys()


def compose(name: str, register: str) -> None:
    """What runs is in the measurements: another composition of the image has others."""
    other = bytes([0xEE]) * 48
    report = judge(name, registers={register: other})
    assert report.verdict is Verdict.REJECTED and wrong(report)["M201"] is Outcome.FAILED


def test_stripped_gpu_dstack() -> None:
    stripped("dstack")


def test_gpu_of_another_machine_dstack() -> None:
    of_another_machine("dstack")


def test_receipt_for_another_body_dstack() -> None:
    receipt("dstack")


def test_stripped_gpu_oyster() -> None:
    stripped("oyster")


def test_gpu_of_another_machine_oyster() -> None:
    of_another_machine("oyster")


def test_receipt_for_another_body_oyster() -> None:
    receipt("oyster")


def test_stripped_gpu_nitriding() -> None:
    stripped("nitriding")


def test_gpu_of_another_machine_nitriding() -> None:
    of_another_machine("nitriding")


def test_receipt_for_another_body_nitriding() -> None:
    receipt("nitriding")


def test_stripped_gpu_evervault() -> None:
    stripped("evervault")


def test_gpu_of_another_machine_evervault() -> None:
    of_another_machine("evervault")


def test_receipt_for_another_body_evervault() -> None:
    receipt("evervault")


def test_stripped_gpu_ratls() -> None:
    stripped("ratls")


def test_gpu_of_another_machine_ratls() -> None:
    of_another_machine("ratls")


def test_receipt_for_another_body_ratls() -> None:
    receipt("ratls")


def test_stripped_gpu_flashbots() -> None:
    stripped("flashbots")


def test_gpu_of_another_machine_flashbots() -> None:
    of_another_machine("flashbots")


def test_receipt_for_another_body_flashbots() -> None:
    receipt("flashbots")


def test_stripped_gpu_contrast() -> None:
    stripped("contrast")


def test_gpu_of_another_machine_contrast() -> None:
    of_another_machine("contrast")


def test_receipt_for_another_body_contrast() -> None:
    receipt("contrast")


def test_event_log_payload_changed_with_digests_kept_oyster() -> None:
    log_changed("oyster")


def test_event_log_payload_changed_with_digests_kept_nitriding() -> None:
    log_changed("nitriding")


def test_event_log_payload_changed_with_digests_kept_evervault() -> None:
    log_changed("evervault")


def test_event_log_payload_changed_with_digests_kept_ratls() -> None:
    log_changed("ratls")


def test_event_log_payload_changed_with_digests_kept_flashbots() -> None:
    log_changed("flashbots")


def test_event_log_payload_changed_with_digests_kept_contrast() -> None:
    log_changed("contrast")


def test_compose_changed_nitriding() -> None:
    compose("nitriding", "pcr2")


def test_compose_changed_evervault() -> None:
    compose("evervault", "pcr2")


def test_compose_changed_ratls() -> None:
    compose("ratls", "rtmr2")


def test_compose_changed_flashbots() -> None:
    compose("flashbots", "rtmr2")


def test_compose_changed_contrast() -> None:
    compose("contrast", "rtmr2")
