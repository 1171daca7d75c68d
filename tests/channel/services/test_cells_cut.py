"""Streams that are cut on the way, at TLS itself: in the handshake, within an answer, and behind it."""

import socket
from collections.abc import Callable

import pytest
from tests.channel.services.cutting import cutting
from tests.channel.services.stage import NONCE, asked, found, now

from troth.channel import services
from troth.channel.services import Service, contrast, ratls
from troth.channel.services.simulate import contrast as contrast_made
from troth.channel.services.simulate import ratls as ratls_made
from troth.channel.services.simulate._loopback import Loopback, Reply
from troth.channel.web import Web
from troth.errors import Malformed, Unavailable
from troth.platforms.dcap.simulate import DevelopmentPki

PKI = DevelopmentPki.create(now())
QUOTE = ratls_made.quoting(PKI, tdx=True)
BODY = b"an answer of the application" * 4000
CUTS = (0, 1, 5, 90, 700, 2000, 4000)


def through(service: Service, server: Loopback, *, after: int, reset: bool) -> None:
    """Asks over a way that is cut within the handshake: nobody was there, and nothing is half read."""
    with cutting(server.dial, after=after, reset=reset) as dial:
        try:
            assert found(service, server, dialler=dial) is None
        except (Unavailable, Malformed):
            pass
        with pytest.raises((Unavailable, Malformed)):
            services.ask(server.url, services.SERVICES, only=service.name, dialler=dial)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", CUTS)
def test_stream_cut_ratls(after: int, *, reset: bool) -> None:
    """In the handshake there is no certificate and no evidence."""
    with ratls_made.serve(ratls_made.shown(QUOTE, now())) as server:
        through(ratls.SERVICE, server, after=after, reset=reset)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", CUTS)
def test_stream_cut_contrast(after: int, *, reset: bool) -> None:
    with contrast_made.serve(QUOTE, now()) as server:
        through(contrast.SERVICE, server, after=after, reset=reset)


def whole(dial: Callable[[], socket.socket], server: Loopback) -> bytes:
    with Web(server.url, seconds=5, dialler=dial) as web:
        assert ratls.ask(web, NONCE) is not None
        return web.get("/").body


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_stream_cut_ratls_within_an_answer(*, reset: bool, last: bool) -> None:
    """What comes over a channel that was accepted is whole, or an error, wherever it is cut."""
    certificate = ratls_made.shown(QUOTE, now())
    reply = Reply(body=BODY, last=last)
    with Loopback(lambda _: reply, identity=certificate) as server:
        assert whole(server.dial, server) == BODY
        assert asked(ratls.SERVICE, server).keys == {"tls": certificate.spki}
        for missing in (1, 60, 20_000, 100_000):
            after = len(BODY) - missing
            with (
                cutting(server.dial, after=after, reset=reset) as dial,
                pytest.raises((Unavailable, Malformed)),
            ):
                whole(dial, server)
