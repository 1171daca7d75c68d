"""What each service presented is read again out of a transcript, and is the same."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.channel.services.stage import now

from troth.channel import services, transcript
from troth.channel.services import (
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
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, identity
from troth.channel.services.simulate._nitro import Enclave
from troth.channel.services.simulate.dstack_guest import DstackGuest
from troth.errors import Malformed, Unavailable
from troth.platforms.dcap.simulate import DevelopmentPki

NOW = now()
GUEST = DstackGuest.create(NOW)
ENCLAVE = Enclave.create(NOW)
QUOTE = ratls_made.quoting(DevelopmentPki.create(NOW), tdx=True)
MINE = (
    dstack.SERVICE,
    nitriding.SERVICE,
    evervault.SERVICE,
    flashbots.SERVICE,
    contrast.SERVICE,
    ratls.SERVICE,
    oyster.SERVICE,
)
SERVERS: dict[str, tuple[Service, Callable[[], Loopback]]] = {
    "certificate": (dstack.SERVICE, lambda: dstack_made.serve(GUEST, NOW)),
    "agent": (dstack.SERVICE, lambda: dstack_made.agent(GUEST)),
    "dashboard": (dstack.SERVICE, lambda: dstack_made.dashboard(GUEST, NOW)),
    "oyster": (oyster.SERVICE, lambda: oyster_made.serve(ENCLAVE, bytes(32), raw=False)),
    "nitriding": (nitriding.SERVICE, lambda: nitriding_made.serve(ENCLAVE, NOW)),
    "evervault": (evervault.SERVICE, lambda: evervault_made.serve(ENCLAVE, NOW)),
    "kept": (evervault.SERVICE, lambda: evervault_made.serve(ENCLAVE, NOW, fresh=False)),
    "ratls": (ratls.SERVICE, lambda: ratls_made.serve(ratls_made.shown(QUOTE, NOW))),
    "flashbots": (flashbots.SERVICE, lambda: flashbots_made.serve(QUOTE, NOW)),
    "contrast": (contrast.SERVICE, lambda: contrast_made.serve(QUOTE, NOW)),
}


@pytest.mark.parametrize("name", SERVERS)
def test_each_host_is_known_for_what_it_is_and_read_again(name: str) -> None:
    service, serve = SERVERS[name]
    with serve() as server:
        answer = services.ask(server.url, MINE, dialler=server.dial)
    assert answer.service is service
    kept = transcript.unpack(transcript.pack(answer.transcript))
    again = services.read(kept, MINE)
    assert again.found == answer.found


@pytest.mark.parametrize("name", ["flashbots", "contrast", "evervault", "nitriding"])
def test_a_transcript_with_an_answer_left_away(name: str) -> None:
    service, serve = SERVERS[name]
    with serve() as server:
        answer = services.ask(server.url, (service,), dialler=server.dial)
    with pytest.raises(Malformed):
        services.read(replace(answer.transcript, exchanges=()), MINE)


def test_a_host_that_speaks_none_of_these() -> None:
    plain = identity(NOW)
    with Loopback(lambda _: NOT_FOUND, identity=plain) as server, pytest.raises(Unavailable):
        services.ask(server.url, MINE, dialler=server.dial)
