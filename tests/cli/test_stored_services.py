"""Answers that somebody kept are not fresh to anybody else, whatever protocol they are of."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.channel.services.stage import now, pinned, wrong
from tests.channel.services.test_cells import ENCLAVE, GUEST, PKI, STAGES

from troth.channel import services, transcript
from troth.channel.services.simulate import dstack as dstack_made
from troth.channel.services.simulate._loopback import Loopback
from troth.cli import _service
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.collateral import NONE
from troth.model.report import Report, Verdict

SERVERS: dict[str, tuple[str, Callable[[], Loopback]]] = {
    **{name: (name, stage.serve) for name, stage in STAGES.items()},
    "dstack agent": ("dstack", lambda: dstack_made.agent(GUEST)),
}
WITH_NONCE = ("nitriding", "evervault", "contrast", "dstack agent")


def stored(name: str, *, own_nonce: bool, later: timedelta = timedelta()) -> Report:
    service, serve = SERVERS[name]
    with serve() as server:
        asked = services.ask(server.url, services.SERVICES, only=service, dialler=server.dial)
    stage = STAGES[service]
    nitro = stage.platform == "nitro"
    return _service.stored(
        transcript.pack(asked.transcript),
        name=name,
        policy=pinned(stage.platform, stage.registers, channel=Binding.NONE),
        at=(now() + later, True),
        nonce=asked.found.nonce if own_nonce else None,
        waive=frozenset(),
        trust=[ENCLAVE.root] if nitro else PKI.roots(),
        collateral=NONE if nitro else PKI.collateral(),
    )


@pytest.mark.parametrize("name", SERVERS)
def test_kept_answers_of_hours_ago(name: str) -> None:
    report = stored(name, own_nonce=False, later=timedelta(hours=2))
    assert report.verdict in (Verdict.UNDECIDED, Verdict.REJECTED)
    assert wrong(report).keys() == {"R101"}


@pytest.mark.parametrize("name", WITH_NONCE)
def test_whoever_asked_gives_the_nonce_again(name: str) -> None:
    assert stored(name, own_nonce=True).verdict is Verdict.ACCEPTED


def test_a_session_of_somebody_else() -> None:
    """Flashbots' evidence is over a session that is gone, and no nonce can be given for it."""
    report = stored("flashbots", own_nonce=True)
    assert wrong(report) == {"R101": Outcome.UNDECIDED}
