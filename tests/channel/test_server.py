"""Hostile clients: none of them costs the enclave more than its own connection."""

import socket
import threading

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from troth.channel.frames import Question, read_answer
from troth.channel.server import accept, make_credentials
from troth.channel.session import ALPN, Session, context
from troth.errors import Malformed, TrothError, Unavailable


def raw_client(port: int, *, alpn: list[bytes] | None = None) -> Session:
    tls = context()
    if alpn is None or alpn:
        tls.set_alpn_protos(alpn or [ALPN])
    connection = SSL.Connection(tls, None)
    connection.set_connect_state()
    return Session(socket.create_connection(("127.0.0.1", port), timeout=5), connection, idle=5)


@pytest.mark.parametrize(
    "question",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x00\x01\x01" + bytes(257),
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        Question(nonce=bytes(31)).encode(),
        Question(nonce=bytes(33)).encode(),
    ],
)
def test_another_question_gets_no_answer_and_never_reaches_the_app(stage, question: bytes) -> None:
    enclave = stage.enclave()
    with raw_client(enclave.net.port) as session:
        session.handshake(seconds=5)
        session.write(question)
        assert session.read(1) == b""
    enclave.net.settle()
    assert [type(error) for error in enclave.net.errors] == [Malformed]
    assert enclave.recorded == []
    assert enclave.received == b""


def test_bytes_sent_with_the_question_are_the_apps(stage) -> None:
    """Who does not wait for the verdict harms himself alone."""
    enclave = stage.enclave()
    with raw_client(enclave.net.port) as session:
        session.handshake(seconds=5)
        session.write(Question(nonce=bytes(32)).encode() + b"GET / HTTP/1.1\r\n\r\n")
        assert read_answer(session.take).platform == "nitro"
        assert session.take(8) == b"HTTP/1.1"


@pytest.mark.parametrize("offered", [[], [b"h2"], [b"http/1.1", b"troth/2"]])
def test_a_client_of_another_protocol(stage, offered: list[bytes]) -> None:
    enclave = stage.enclave()
    with raw_client(enclave.net.port, alpn=offered) as session, pytest.raises(Unavailable):
        session.handshake(seconds=5)
    enclave.net.settle()
    assert [type(error) for error in enclave.net.errors] == [Unavailable]
    stage.connect(enclave.net.port).close()


def test_ours_among_others(stage) -> None:
    enclave = stage.enclave()
    with raw_client(enclave.net.port, alpn=[b"h2", ALPN]) as session:
        session.handshake(seconds=5)
        session.write(Question(nonce=bytes(32)).encode())
        assert read_answer(session.take).evidence


def test_a_module_that_refuses_ends_the_connection() -> None:
    left, right = socket.socketpair()

    def refuse(_exporter: bytes, _spki: bytes, _nonce: bytes) -> bytes:
        raise Unavailable("the NSM refused Attestation: InternalError")

    caught: list[TrothError] = []

    def serve() -> None:
        try:
            accept(right, make_credentials(), refuse, platform="nitro", seconds=5)
        except TrothError as error:
            caught.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    tls = context()
    tls.set_alpn_protos([ALPN])
    connection = SSL.Connection(tls, None)
    connection.set_connect_state()
    with Session(left, connection, idle=5) as session:
        session.handshake(seconds=5)
        session.write(Question(nonce=bytes(32)).encode())
        with pytest.raises(Unavailable):
            read_answer(session.take)
    thread.join(5)
    assert "InternalError" in str(caught[0])
    assert right.fileno() == -1


def test_slow_clients_are_cut_off_and_others_are_served_meanwhile(stage) -> None:
    enclave = stage.enclave()
    idle = [socket.create_connection(("127.0.0.1", enclave.net.port)) for _ in range(20)]
    stage.connect(enclave.net.port).close()
    for sock in idle:
        sock.close()


def test_a_client_that_says_nothing_is_cut_off() -> None:
    left, right = socket.socketpair()
    with left, pytest.raises(Unavailable):
        accept(right, make_credentials(), lambda *_: b"", platform="nitro", seconds=0.2)
    assert right.fileno() == -1


def test_each_start_has_its_own_key_on_p_256() -> None:
    first, second = make_credentials(), make_credentials()
    assert first.spki != second.spki
    key = serialization.load_der_public_key(first.spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
