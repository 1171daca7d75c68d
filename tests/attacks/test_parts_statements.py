"""Attacks on parts and on what is said of them: a nonce that nobody was asked for, one card shown twice."""

from dataclasses import replace
from typing import Any

import pytest
from tests.channel.openai_made import GUEST
from tests.channel.openai_made import POLICY as TDX
from tests.channel.services.stage import now, pinned
from tests.channel.services.test_cells import ENCLAVE
from tests.verifier.test_statements import gpu, report, said

import troth
from troth.channel.services.simulate._nitro import PCRS
from troth.channel.services.simulate.aci import Aci
from troth.cli import _service
from troth.model.check import Outcome, failed, undecided
from troth.model.claims import Source
from troth.model.codes import Code
from troth.model.codes.binding import B101, B301, B501, B502, B503
from troth.model.codes.genuine import G104
from troth.model.composite import Composite, Part
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.model.statement import Statement, Status
from troth.verifier import statements

POLICY = pinned("nitro", {f"pcr{i}": v for i, v in PCRS.items()})
NONCE = b"n" * 32
VERIFIER = Source.VERIFIER
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


def test_what_was_compared_with_forged_evidence_is_not_asserted() -> None:
    """A log that replays to a forged quote's register: it is as true as the quote."""
    made = report()
    own = (
        Statement(name="composition_as_measured", status=Status.ASSERTED, source=VERIFIER, why="x"),
        Statement(name="serving", status=Status.ASSERTED, source=Source.PROVIDER, why="it says"),
        Statement(name="app_id_as_measured", status=Status.REFUTED, source=VERIFIER, why="x"),
    )
    assert statements.held(made, own) == own
    assert statements.held(replace(made, root_class=RootClass.DEVELOPMENT), own) == own
    for worse in (
        replace(made, checks=(*made.checks, failed(G104, "signature"))),
        replace(made, checks=(*made.checks, undecided(G104, "signature"))),
        replace(made, checks=(*made.checks, failed(B501, "user_data"))),
        replace(made, root_class=None),
    ):
        first, *others = statements.held(worse, own)
        assert (first.status, first.source) == (Status.UNKNOWN, None)
        assert tuple(others) == own[1:]


def test_a_host_that_forges_its_quote_and_fits_its_log_to_it() -> None:
    class Forger(Aci):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            said = super().report(nonce)
            evidence = said["attestation"]["evidence"]
            quote = bytearray.fromhex(evidence["quote"])
            quote[48 + 16] ^= 1  # in the body, which is signed
            return said | {
                "attestation": said["attestation"] | {"evidence": evidence | {"quote": quote.hex()}}
            }

    with Forger(guest=GUEST) as service:
        found, _, _ = _service.live(
            service.url,
            only="aci",
            policy=TDX,
            waive=frozenset(),
            trust=GUEST.roots,
            pem=b"",
            collateral=GUEST.collateral,
            claim=None,
        )
    assert found.verdict is Verdict.REJECTED
    by_us = {s.name for s in found.statements if s.source in (VERIFIER, Source.HARDWARE)}
    asserted = {s.name for s in found.statements if s.status is Status.ASSERTED}
    assert not by_us & asserted
