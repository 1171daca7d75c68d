"""What a server shows in a session of its own: bounded, kept, and read again; and certificates of odd dates."""

import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from troth.channel import greeting, transcript
from troth.channel.http import Response
from troth.channel.services import _leaf, flashbots
from troth.channel.services.simulate._loopback import NOT_FOUND, Identity, Loopback, identity
from troth.channel.session import Session
from troth.channel.transcript import Recorded
from troth.channel.web import Web
from troth.errors import Malformed, Unavailable
from troth.wire import cbor

NOW = datetime.now(UTC)
LABEL = b"EXPORTER-test"
ME = identity(NOW, protocols=(b"own/1", b"http/1.1"))


def speaking(said: bytes, *, pause: float = 0.0, shown: Identity = ME) -> Loopback:
    def opening(session: Session) -> bool:
        if session.protocol != b"own/1":
            return True
        for byte in said:
            session.write(bytes([byte]))
            time.sleep(pause)
        return False

    return Loopback(lambda _: NOT_FOUND, identity=shown, opening=opening)


def test_all_that_is_shown() -> None:
    with speaking(b"hello") as server, Web(server.url, dialler=server.dial) as web:
        shown = web.greet(alpn=(b"own/1",), label=LABEL, first=lambda s: s.take(5))
        assert shown is not None
        assert (shown.protocol, shown.said) == (b"own/1", b"hello")
        assert (shown.certificate, shown.key) == (ME.der, ME.spki)
        again = web.greet(alpn=(b"own/1",), label=LABEL)
        assert again is not None and again.exporter != shown.exporter
        assert len(shown.exporter) == 32 and again.said == b""


def test_a_server_that_does_not_take_the_protocol_is_not_read() -> None:
    plain = identity(NOW)
    with speaking(b"", shown=plain) as server, Web(server.url, dialler=server.dial) as web:
        shown = web.greet(alpn=(b"own/1",), first=lambda s: s.take(5))
        assert shown is not None and (shown.protocol, shown.said) == (b"", b"")


def test_one_byte_a_second() -> None:
    begin = time.monotonic()
    with speaking(bytes(30), pause=0.1) as server:
        with Web(server.url, seconds=0.6, dialler=server.dial) as web:
            assert web.greet(alpn=(b"own/1",), first=lambda s: s.take(30)) is None
        assert time.monotonic() - begin < 3


def test_a_host_that_never_shakes_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []
        thread = threading.Thread(target=lambda: held.append(listener.accept()[0]), daemon=True)
        thread.start()
        web = Web(f"https://127.0.0.1:{listener.getsockname()[1]}", seconds=0.5)
        begin = time.monotonic()
        assert web.greet(alpn=(b"own/1",)) is None
        assert time.monotonic() - begin < 3
        time.sleep(0.1)
        with pytest.raises(Unavailable, match="took too long"):
            web.another(alpn=(b"own/1",))
        thread.join(5)
        for sock in held:
            sock.close()


def test_greetings_are_kept_and_read_again() -> None:
    with speaking(b"hello") as server, Web(server.url, dialler=server.dial) as web:
        shown = web.greet(alpn=(b"own/1",), label=LABEL, first=lambda s: s.take(5))
        kept = transcript.of(web, service="x", nonce=bytes(32))
    read = Recorded(transcript.unpack(transcript.pack(kept)))
    assert read.greet(alpn=(b"own/1",), label=LABEL) == shown
    with pytest.raises(Malformed, match="no answer"):
        read.greet(alpn=(b"own/1",), label=LABEL)
    with pytest.raises(Malformed, match="no answer"):
        Recorded(kept).greet(alpn=(b"other/1",), label=LABEL)


@pytest.mark.parametrize(
    "body", [b"\0", cbor.encode([]), cbor.encode([b""] * 4), cbor.encode([b"", b"", b"", b"", 1])]
)
def test_kept_greetings_of_another_form(body: bytes) -> None:
    with speaking(b"hello") as server, Web(server.url, dialler=server.dial) as web:
        web.greet(alpn=(b"own/1",))
        kept = transcript.of(web, service="x", nonce=bytes(32))
    (one,) = kept.exchanges
    assert one.method == greeting.METHOD
    answer = Response(status=0, reason="", headers=(), body=body)
    changed = replace(kept, exchanges=(replace(one, answer=answer),))
    with pytest.raises(Malformed):
        Recorded(changed).greet(alpn=(b"own/1",))


def test_a_refused_session_is_kept_as_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    web = Web(f"https://127.0.0.1:{port}")
    assert web.greet(alpn=(b"own/1",)) is None
    assert [one.answer.body for one in web.exchanges] == [b""]


def test_a_certificate_to_the_end_of_time() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    shown = identity(NOW, until=last, names=("a.example", "b.example"))
    leaf = _leaf.read(shown.der)
    assert leaf is not None and leaf.not_after == last
    assert list(_leaf.dns_names(leaf)) == ["a.example", "b.example"]


def test_messages_that_say_they_are_huge_are_not_read() -> None:
    asked: list[int] = []

    def take(size: int) -> bytes:
        asked.append(size)
        return b"\xff" * size

    with pytest.raises(Malformed):
        flashbots.read(take)
    assert asked == [4]
