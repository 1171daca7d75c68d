"""Attacks on `verify_many`: whatever else the process does, each answer is there and is the right one."""

import threading
from collections.abc import Iterator

import pytest
from tests.platforms.dcap.made import NONCE, NOW, PKI, good, pinned

import troth
from troth.model.report import Verdict
from troth.platforms.dcap.simulate import QuoteKind


@pytest.fixture
def busy() -> Iterator[None]:
    """A process that has another thread: workers are then made anew, and not forked."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.mark.usefixtures("busy")
def test_workers_that_are_made_anew_are_handed_policy_roots_and_collateral() -> None:
    case = good(QuoteKind.TDX_5_15)
    policy = pinned(case.data, machines={PKI.machine.ppid.hex()}, minimum={"module_major": 1})
    answers = troth.verify_many(
        [troth.Question(evidence=case.data, nonce=nonce) for nonce in (NONCE, NONCE[::-1])],
        policy=policy,
        at=NOW,
        trust=PKI.roots(),
        collateral=case.collateral,
        processes=2,
    )
    good_one, bad_one = answers
    assert good_one.verdict is Verdict.ACCEPTED
    assert good_one.verified().claims.user_data == NONCE
    assert (bad_one.verdict, bad_one.codes) == (Verdict.REJECTED, ("R101", "B101"))
