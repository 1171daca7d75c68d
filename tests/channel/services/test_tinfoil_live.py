"""Hosts that drip, flood or talk nonsense; and encrypted bodies from one end to the other."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.channel.services.tinfoil_made import NONCE, ask, quote

from troth.channel import dial, ehbp
from troth.channel.services import tinfoil
from troth.channel.services.simulate._server import Reply, Server
from troth.channel.services.simulate.tinfoil import Enclave
from troth.channel.web import Web, open_tls
from troth.errors import Malformed, Unavailable
from troth.wire import json


@pytest.fixture(scope="module")
def v3() -> Iterator[Enclave]:
    with Enclave(quote, platform="tdx") as enclave:
        yield enclave


def test_a_host_without_the_document_is_no_tinfoil() -> None:
    for status, body in ((404, b"nothing"), (200, b"<html>"), (200, b'{"format":"x"}')):
        with hostile(status, body) as host, Web(host.url, seconds=5) as web:
            assert tinfoil.ask(web, NONCE) is None
    with Web("http://127.0.0.1:1") as web:
        assert tinfoil.ask(web, NONCE) is None


def hostile(status: int, body: bytes, *, pause: float = 0, times: int = 1) -> Server:
    """A TLS host that gives one answer to everything, maybe a byte at a time, maybe many times over."""

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body) * times, 1 if pause else len(body)):
            yield body[at : at + 1] if pause else body
            time.sleep(pause)

    return Server(lambda _: Reply(status=status, pieces=pieces()))


def test_a_host_that_answers_a_byte_at_a_time_is_left() -> None:
    with hostile(200, b"x" * 60, pause=0.05) as host, Web(host.url, seconds=1) as web:
        start = time.monotonic()
        with pytest.raises(Unavailable):
            tinfoil.ask(web, NONCE)
        assert time.monotonic() - start < 4


def test_an_answer_of_50_mb_is_refused_at_the_limit() -> None:
    longer = pytest.raises(Malformed, match="longer")
    with hostile(200, bytes(1_000_000), times=50) as host, Web(host.url) as web, longer:
        tinfoil.ask(web, NONCE)


@pytest.mark.parametrize(
    "body",
    [
        b'{"format":"https://tinfoil.sh/predicate/attestation/v3"}',
        b'{"format":"https://tinfoil.sh/predicate/attestation/v9"}',
        b'{"format":"https:\\/\\/tinfoil.sh\\/predicate\\/attestation\\/v3"}',
        b'["https://tinfoil.sh/predicate/attestation/v3"]',
        b'{"format":"https://tinfoil.sh/predicate/tdx-guest/v2","format":"x"}',
    ],
)
def test_a_host_that_speaks_it_and_says_nonsense_is_malformed(body: bytes) -> None:
    nonsense = pytest.raises(Malformed)
    with hostile(200, body) as host, Web(host.url, seconds=5) as web, nonsense:
        tinfoil.ask(web, NONCE)


# Encrypted bodies, from one end to the other


def client(enclave: Enclave, key: bytes | None = None) -> ehbp.Client:
    target = dial.parse(enclave.url)
    session = open_tls(target.dialler(), name=target.authority, seconds=10)
    return ehbp.Client(session, target.authority, key or enclave.receiver.key)


def chat(words: str, **more: Any) -> bytes:
    return json.canonical({"model": "m", "messages": [{"role": "user", "content": words}]} | more)


def test_a_chat_over_encrypted_bodies(v3: Enclave) -> None:
    over = client(v3)
    for words in ("hello", "again"):  # one connection, a context for each request
        answer = over.request("POST", "/v1/chat/completions", body=chat(words))
        assert answer.status == 200
        said = json.parse(answer.body, field="")
        assert said["choices"][0]["message"]["content"].lower() == f"you said: {words}"


def test_a_stream_over_encrypted_bodies_comes_piece_by_piece(v3: Enclave) -> None:
    answer = client(v3).open("POST", "/v1/chat/completions", body=[chat("a b c", stream=True)])
    assert answer.sealed
    pieces = list(answer.pieces)
    assert len(pieces) > 4
    assert pieces[-1] == b"data: [DONE]\n\n"


def test_an_error_of_the_application_is_sealed_too(v3: Enclave) -> None:
    answer = client(v3).open("POST", "/v1/nothing", body=[b"{}"])
    assert (answer.status, answer.sealed) == (404, True)
    assert b"no such thing" in b"".join(answer.pieces)


def test_a_key_of_yesterday_is_told_and_nothing_is_read(v3: Enclave) -> None:
    with Enclave(quote, platform="tdx") as other, pytest.raises(ehbp.KeyMismatch):
        client(v3, other.receiver.key).request("POST", "/v1/chat/completions", body=chat("secret"))


def test_stream_cut_tinfoil() -> None:
    """Cut within a frame, or before HTTP's own end, is refused; what EHBP cannot show is in its words."""
    with Enclave(quote, platform="tdx", cut=1) as enclave:
        answer = client(enclave).open("POST", "/v1/chat/completions", body=[chat("x", stream=True)])
        assert next(answer.pieces).startswith(b"data: ")
        with pytest.raises((Malformed, Unavailable)):
            next(answer.pieces)
    assert any("looks whole" in words for words in ehbp.NOT_BOUND)


def test_no_thread_outlives_its_enclave() -> None:
    before = threading.active_count()
    with Enclave(quote, platform="tdx") as enclave:
        ask(enclave.url)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
