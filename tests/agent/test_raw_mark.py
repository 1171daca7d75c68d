"""Evidence of an image whose app has the module itself is told apart by its registers alone."""

import hashlib
from datetime import UTC, datetime

import pytest

import troth
from troth.agent.init import RAW_REGISTER, mark_raw
from troth.errors import Unavailable
from troth.model.report import Verdict
from troth.platforms.nitro.collect import Nsm
from troth.platforms.nitro.measure import ZERO, extend
from troth.platforms.nitro.simulate import SimulatedNsm, new_instance
from troth.platforms.nitro.simulate_pki import DevelopmentPki

NOW = datetime.now(UTC)
PKI = DevelopmentPki.create(NOW)
PCRS = {index: bytes([index + 1]) * 48 for index in range(3)}
BARE = {f"pcr{index}": value.hex() for index, value in PCRS.items()}


class InProcess:
    def __init__(self) -> None:
        self.exchange = SimulatedNsm(PKI, PCRS, new_instance(), lambda: NOW).request

    def close(self) -> None:
        """Nothing is held."""


def verdict(nsm: Nsm, registers: dict[str, str]) -> troth.Report:
    """On what the app has signed, under a policy of these registers."""
    nonce = b"n" * 32
    document = nsm.attest(user_data=b"mine", nonce=nonce, public_key=None)
    policy = troth.Policy.for_image({"nitro": registers})
    return troth.appraise(document, policy=policy, nonce=nonce, trust=(PKI.root(),), at=NOW)


def codes(report: troth.Report) -> set[str]:
    return {c.code.id for c in report.checks if c.outcome.value == "undecided"}


def test_bare_registers_leave_it_open() -> None:
    nsm = Nsm(InProcess())
    assert verdict(nsm, BARE).verdict is Verdict.ACCEPTED
    mark_raw(nsm)
    marked = verdict(nsm, BARE)
    assert marked.verdict is Verdict.UNDECIDED
    assert codes(marked) == {"M203"}


def test_its_value_is_the_documented_one_and_stays() -> None:
    nsm = Nsm(InProcess())
    mark_raw(nsm)
    value = extend(ZERO, hashlib.sha384(b"troth raw_nsm").digest())
    assert nsm.register(RAW_REGISTER) == (value, True)
    with pytest.raises(Unavailable):
        nsm.extend(RAW_REGISTER, b"other")
    known = verdict(nsm, {**BARE, f"pcr{RAW_REGISTER}": value.hex()})
    assert "M203" not in codes(known)


def test_a_module_that_refuses_it_ends_the_start() -> None:
    nsm = Nsm(InProcess())
    nsm.lock(RAW_REGISTER)
    with pytest.raises(Unavailable):
        mark_raw(nsm)
