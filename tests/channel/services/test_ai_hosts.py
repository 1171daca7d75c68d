"""Hosts that mean harm to whoever asks for an AI service's evidence; and the package `openai` without us."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import openai
import pytest

from troth.channel.services import Service, aci, ask, phala
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate._server import Cut, Question, Reply, Server
from troth.channel.services.simulate.aci import Aci
from troth.channel.services.simulate.phala import Phala
from troth.errors import Malformed, Unavailable

GUEST = Guest.create(datetime.now(UTC))
BOTH = pytest.mark.parametrize("service", [aci.SERVICE, phala.SERVICE], ids=lambda s: s.name)


@BOTH
def test_a_host_that_answers_one_byte_a_second(service: Service) -> None:
    ended = threading.Event()

    def drip(_: Question) -> Reply:
        def pieces() -> Iterator[bytes]:
            while not ended.wait(0.2):
                yield b" "

        return Reply(pieces=pieces())

    with Server(drip) as host:
        begin = time.monotonic()
        with pytest.raises(Unavailable):
            ask(host.url, [service], seconds=1)
        assert time.monotonic() - begin < 5
        ended.set()


@BOTH
def test_an_answer_of_50_mb(service: Service) -> None:
    piece = b"{" + b" " * (1024 * 1024)
    with Server(lambda _: Reply(pieces=[piece] * 50)) as host, pytest.raises(Malformed):
        ask(host.url, [service], seconds=20)


@BOTH
def test_stream_cut_while_it_attests(service: Service) -> None:
    def cut(_: Question) -> Reply:
        def pieces() -> Iterator[bytes]:
            yield b'{"api_version"'
            raise Cut

        return Reply(pieces=pieces())

    with Server(cut) as host, pytest.raises((Unavailable, Malformed)):
        ask(host.url, [service], seconds=5)


@BOTH
def test_nobody_there(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable):
        ask(f"https://127.0.0.1:{port}", [service], seconds=2)


@BOTH
def test_plain_http_is_not_asked(service: Service) -> None:
    with pytest.raises(Unavailable):
        ask("http://127.0.0.1:1", [service], seconds=1)


@pytest.mark.parametrize("kind", [Aci, Phala])
def test_the_package_openai_speaks_to_the_simulators(kind: type[Aci | Phala]) -> None:
    """Unchanged, and without us: so it is OpenAI's protocol that they speak."""
    said: list[Any] = [{"role": "user", "content": "hello"}]
    with kind(guest=GUEST) as service:
        made = openai.OpenAI(
            base_url=f"{service.url}/v1",
            api_key="x",
            http_client=openai.DefaultHttpxClient(verify=False),
            max_retries=0,
        )
        whole = made.chat.completions.create(model="echo", messages=said)
        assert whole.choices[0].message.content == "You said: hello"
        pieces = made.chat.completions.create(model="echo", messages=said, stream=True)
        assert "".join(p.choices[0].delta.content or "" for p in pieces) == "You said: hello "
        assert any(b"hello" in body for body in service.prompts)
