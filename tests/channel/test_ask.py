"""Evidence can be asked for without being judged; then nothing of an application's is ever sent."""

import socket

import pytest

from troth.channel import client
from troth.errors import Malformed, Unavailable
from troth.platforms.nitro.format import parse


def dialler(port: int):
    return lambda: socket.create_connection(("127.0.0.1", port), timeout=5)


def test_the_evidence_of_a_session_and_no_more(stage) -> None:
    enclave = stage.enclave()
    proof = client.ask(dialler(enclave.net.port), at=stage.clock)
    document = parse(proof.evidence)
    assert (document.nonce, document.user_data) == (proof.nonce, proof.binding)
    assert document.public_key == proof.key
    enclave.net.settle()
    assert enclave.received == b""


def test_each_asking_has_its_own_nonce(stage) -> None:
    port = stage.enclave().net.port
    nonces = {client.ask(dialler(port), at=stage.clock).nonce for _ in range(2)}
    assert len(nonces) == 2


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unavailable, match="cannot connect"):
        client.ask(dialler(port))


def test_somebody_else_is_there(stage) -> None:
    other = stage.rogue(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises((Unavailable, Malformed)):
        client.ask(dialler(other.port), seconds=2)
