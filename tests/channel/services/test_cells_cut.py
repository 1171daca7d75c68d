"""Streams that are cut on the way, at TLS itself: in the handshake, within an answer, and behind it."""

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from tests.channel.services.cutting import cutting
from tests.channel.services.stage import NONCE, asked, found, now

from troth.channel import services
from troth.channel.services import Service, contrast, ratls
from troth.channel.services.simulate import contrast as contrast_made
from troth.channel.services.simulate import ratls as ratls_made
from troth.channel.services.simulate._loopback import Loopback, Reply
from troth.channel.services.simulate.stages import STAGES
from troth.channel.web import Web
from troth.errors import Malformed, Unavailable
from troth.platforms.dcap.simulate import DevelopmentPki

PKI = DevelopmentPki.create(now())
QUOTE = ratls_made.quoting(PKI, tdx=True)
BODY = b"an answer of the application" * 4000
IN_HANDSHAKE = ("ratls", "dstack", "evervault", "contrast")
CUTS = (0, 1, 5, 90, 700, 2000, 4000)


def through(service: Service, server: Loopback, *, after: int, reset: bool) -> None:
    """Asks over a way that is cut within the handshake: nobody was there, and nothing is half read."""
    with cutting(server.dial, after=after, reset=reset) as way:
        try:
            assert found(service, server, dialler=way.dial) is None
        except (Unavailable, Malformed):
            pass
        with pytest.raises((Unavailable, Malformed)):
            services.ask(server.url, services.SERVICES, only=service.name, dialler=way.dial)


@pytest.mark.parametrize("name", STAGES)
def test_no_service_is_found_on_a_way_that_is_cut(name: str) -> None:
    """Within the handshake, and within what carries the evidence: the answer is none, and never half of one."""
    only = name.partition("-")[0]
    with STAGES[name](now()).serve() as server:
        place = ("127.0.0.1", urlsplit(server.url).port)

        def direct(place: tuple[str, int | None] = place) -> socket.socket:
            return socket.create_connection(place, timeout=5)

        with cutting(direct, after=10**9) as way:
            services.ask(server.url, services.SERVICES, only=only, dialler=way.dial)
        # Where a certificate is the evidence, all of it has come when the handshake ends.
        shares = (0.05, 0.3) if name in IN_HANDSHAKE else (0.05, 0.3, 0.6, 0.9)
        for share in shares:
            after = int(max(way.passed) * share)
            with (
                cutting(direct, after=after) as cut,
                pytest.raises((Unavailable, Malformed)),
            ):
                services.ask(server.url, services.SERVICES, only=only, dialler=cut.dial)


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
                cutting(server.dial, after=after, reset=reset) as way,
                pytest.raises((Unavailable, Malformed)),
            ):
                whole(way.dial, server)
