"""Attacks on parts and on what is said of them: a nonce that nobody was asked for, one card shown twice."""

from dataclasses import replace

import pytest
from tests.channel.services.stage import now, pinned
from tests.channel.services.test_cells import ENCLAVE
from tests.verifier.test_statements import gpu, report, said

import troth
from troth.channel.services.simulate._nitro import PCRS
from troth.model.check import Outcome, failed
from troth.model.codes import Code
from troth.model.codes.binding import B101, B301, B501, B502, B503
from troth.model.composite import Composite, Part
from troth.model.report import Report, Verdict
from troth.model.statement import Status

POLICY = pinned("nitro", {f"pcr{i}": v for i, v in PCRS.items()})
NONCE = b"n" * 32
DATA = b"a key"


def judge(*parts: Part) -> Report:
    whole = Composite(parts=parts)
    return troth.appraise(whole, policy=POLICY, at=now(), nonce=NONCE, trust=[ENCLAVE.root])


def test_a_nonce_that_no_part_was_asked_for() -> None:
    """The part is bound by its field, of now by its clock, and answers nobody's question."""
    document = ENCLAVE.document(user_data=DATA)
    found = judge(Part(name="enclave", evidence=document, says="", user_data=DATA))
    assert found.verdict is Verdict.REJECTED
    assert [c.outcome for c in found.checks if c.code is B101] == [Outcome.FAILED]


def test_a_nonce_that_is_under_the_hash_or_in_its_own_field() -> None:
    document = ENCLAVE.document(user_data=DATA, nonce=NONCE)
    part = Part(name="enclave", evidence=document, says="", user_data=DATA)
    assert judge(replace(part, nonce=NONCE)).verdict is Verdict.ACCEPTED
    assert judge(replace(part, over_nonce=True)).verdict is Verdict.ACCEPTED
    assert judge(replace(part, user_data=None)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("code", [B101, B301, B501])
def test_evidence_of_another_machine_asserts_nothing(code: Code) -> None:
    made = report()
    relayed = replace(made, checks=(*made.checks, failed(code, "user_data")))
    assert Status.ASSERTED not in said(relayed).values()


def test_one_card_shown_twice_is_not_two_gpus() -> None:
    made = report()
    whole = replace(made, parts=(gpu(made), gpu(made, "gpu-1")))
    assert said(whole)["gpu_attested"] is Status.ASSERTED
    for check in (failed(B502, "gpu-1"), failed(B503, "fabric")):
        twice = replace(whole, checks=(*whole.checks, check))
        assert said(twice)["gpu_attested"] is Status.REFUTED
    other = replace(whole, checks=(*whole.checks, failed(B502, "machine-1-cpu")))
    assert said(other)["gpu_attested"] is Status.ASSERTED
