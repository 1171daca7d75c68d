"""Flashbots' attested TLS: evidence over the session, its messages, and each way around them."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.channel.services.stage import asked, found, judged, now, pinned, wrong

from troth.channel.services import Found, flashbots
from troth.channel.services.flashbots import ALPN, LABEL, SERVICE
from troth.channel.services.simulate import flashbots as simulated
from troth.channel.services.simulate import ratls as quotes
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, identity
from troth.channel.web import Web, open_tls
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.report import Report, Verdict
from troth.platforms.dcap.simulate import DevelopmentPki
from troth.platforms.dcap.simulate_bodies import digest

PKI = DevelopmentPki.create(now())
TD = {name: digest(name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
QUOTE = quotes.quoting(PKI, tdx=True)


def judge(answer: Found, **given: Any) -> Report:
    policy = pinned("tdx", TD, channel=Binding.SESSION)
    return judged(answer, policy=policy, trust=PKI.roots(), collateral=PKI.collateral(), **given)


def taken(data: bytes) -> tuple[str, bytes]:
    left = bytearray(data)

    def take(size: int) -> bytes:
        if size > len(left):
            raise Unavailable("ended")
        part = bytes(left[:size])
        del left[:size]
        return part

    return flashbots.read(take)


def test_the_64_bytes() -> None:
    data = flashbots.user_data(b"key", b"\x07" * 32)
    assert data == hashlib.sha256(b"key").digest() + b"\x07" * 32
    assert LABEL == b"EXPORTER-Channel-Binding" and ALPN == b"flashbots-ratls/1"


def test_messages_byte_by_byte() -> None:
    assert flashbots.encode("none", b"") == bytes.fromhex("00000006 10 6e6f6e65 00")
    assert taken(flashbots.encode("dcap-tdx", b"quote")) == ("dcap-tdx", b"quote")
    long = bytes(5000)
    assert flashbots.encode("dcap-tdx", long)[4 : 4 + 1 + 8 + 2].hex() == (
        "20" + b"dcap-tdx".hex() + "214e"
    )
    assert taken(flashbots.encode("dcap-tdx", long)) == ("dcap-tdx", long)


@pytest.mark.parametrize("kind", sorted(flashbots.QUOTES))
def test_a_session_that_is_attested(kind: str) -> None:
    with simulated.serve(QUOTE, now(), kind=kind) as server:
        answer = asked(SERVICE, server)
    assert answer.binding is Binding.SESSION
    assert judge(answer).verdict is Verdict.ACCEPTED


def test_a_session_that_goes_on() -> None:
    """The verdict on a session that stays open, for whoever talks over it."""
    with simulated.serve(QUOTE, now()) as server:
        session = open_tls(server.dial, name="test", alpn=(ALPN,))
        with session:
            assert judge(flashbots.attested(session)).verdict is Verdict.ACCEPTED


def test_hosts_of_another_kind() -> None:
    with Loopback(lambda _: NOT_FOUND, identity=identity(now())) as server:
        assert found(SERVICE, server) is None
    with Loopback(lambda _: NOT_FOUND) as server:
        assert found(SERVICE, server) is None


@pytest.mark.parametrize("kind", ["none", "azure-tdx", "any", ""])
def test_kinds_that_say_nothing_are_not_taken_for_any(kind: str) -> None:
    with (
        simulated.serve(QUOTE, now(), kind=kind) as server,
        pytest.raises(Unavailable, match="not read here"),
    ):
        found(SERVICE, server)


# Attacks.


def test_anothers_evidence_flashbots() -> None:
    """A quote over another session: recorded, or had from a good machine meanwhile."""
    with simulated.serve(QUOTE, now()) as good:
        recorded = asked(SERVICE, good).raw["message"]
    with simulated.serve(QUOTE, now(), message=recorded) as server:
        report = judge(asked(SERVICE, server))
    assert report.verdict is Verdict.REJECTED and wrong(report)["B501"] is Outcome.FAILED


def test_relayed_flashbots() -> None:
    """A relay with the very key of a good machine still has another session with us."""
    shown = identity(now(), protocols=(ALPN,))
    with simulated.serve(QUOTE, now(), shown=shown) as good:
        recorded = asked(SERVICE, good).raw["message"]
    with simulated.serve(QUOTE, now(), shown=shown, message=recorded) as relay:
        assert wrong(judge(asked(SERVICE, relay)))["B501"] is Outcome.FAILED


@pytest.mark.parametrize("data", [bytes(64), hashlib.sha256(b"key").digest() + bytes(32)])
def test_key_swapped_flashbots(data: bytes) -> None:
    with simulated.serve(QUOTE, now(), data=data) as server:
        assert judge(asked(SERVICE, server)).verdict is Verdict.REJECTED


@pytest.mark.parametrize("cut", [0, 1, 4, 10, 1000])
def test_stream_cut_flashbots(cut: int) -> None:
    with simulated.serve(QUOTE, now(), cut=cut) as server:
        assert found(SERVICE, server) is None
        session = open_tls(server.dial, name="test", alpn=(ALPN,))
        with session, pytest.raises(Unavailable):
            flashbots.attested(session)


@pytest.mark.parametrize(
    "message",
    [
        bytes(4),
        (2**32 - 1).to_bytes(4, "big"),
        (flashbots.MAX + 1).to_bytes(4, "big"),
        flashbots.encode("dcap-tdx", b"")[:-1] + b"\x04",
        (7).to_bytes(4, "big") + flashbots.encode("none", b"")[4:] + b"\0",
        (3).to_bytes(4, "big") + b"\x04\xff\0",
    ],
)
def test_messages_of_another_form(message: bytes) -> None:
    with simulated.serve(QUOTE, now(), message=message) as server, pytest.raises(Malformed):
        found(SERVICE, server)


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    try:
        taken(len(data).to_bytes(4, "big") + data)
    except TrothError:
        pass


def test_plain_http_has_no_session() -> None:
    with (
        Loopback(lambda _: NOT_FOUND) as server,
        Web(server.url, dialler=server.dial) as web,
        pytest.raises(Misuse),
    ):
        web.greet(alpn=(ALPN,))
