"""A rogue host between client and enclave: every attack is refused with its code, and nothing leaked.

The rogue does all that whoever carries the bytes can do. Where it ends TLS itself it sees everything
that the client sends: it must see the question and not one byte more.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from OpenSSL._util import lib

from troth.agent.attest import Attester
from troth.channel.frames import Answer, Question, read_answer, read_question
from troth.channel.server import Credentials, accept, make_credentials
from troth.channel.session import ALPN, Session, context
from troth.errors import Malformed, TrothError, Unavailable
from troth.model.check import Outcome
from troth.model.report import Rejected
from troth.platforms.nitro.simulate import DevelopmentPki
from troth.verifier.binding import Tag, bind

SECRET = b"POST /bids HTTP/1.1\r\n\r\nmy sealed bid is 4711"


class Terminator:
    """A rogue that ends TLS itself with a certificate of its own, and reads what the client sends."""

    def __init__(self, stage, answer: Callable[[Session, Question], bytes | None]) -> None:
        self.credentials: Credentials = make_credentials()
        self.answer = answer
        self.read = b""
        self.net = stage.rogue(self._one)
        self.port = self.net.port

    def _one(self, sock: socket.socket) -> None:
        connection = SSL.Connection(self.credentials.tls, None)
        connection.set_accept_state()
        with Session(sock, connection, idle=5) as session:
            session.handshake(seconds=5)
            session.begin()

            def take(size: int) -> bytes:
                part = session.take(size)
                self.read += part
                return part

            answer = self.answer(session, read_question(take))
            if answer is not None:
                session.write(answer)
                while part := session.read(65536):
                    self.read += part


def refused(stage, port: int, **changes: object) -> TrothError:
    """The error with which the client ends; it must never come to sending the secret."""
    with pytest.raises(TrothError) as caught, stage.connect(port, **changes) as stream:
        stream.write(SECRET)
    return caught.value


def codes(error: TrothError) -> set[str]:
    """The codes that failed, where there was a verdict."""
    assert isinstance(error, Rejected), error
    return {c.code.id for c in error.report.checks if c.outcome is Outcome.FAILED}


def only_the_question(rogue: Terminator) -> None:
    rogue.net.settle()
    assert len(rogue.read) == len(Question(nonce=bytes(32)).encode())
    assert SECRET not in rogue.read


def answered(evidence: bytes) -> bytes:
    return Answer(platform="nitro", evidence=evidence).encode()


def pump(source: socket.socket, sink: socket.socket, seen: list[bytes]) -> None:
    try:
        while data := source.recv(65536):
            seen.append(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def carry(stage, port: int) -> tuple[int, list[bytes]]:
    """A rogue that carries bytes to another port, and keeps what the client sent."""
    seen: list[bytes] = []

    def one(sock: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as other:
            back = threading.Thread(target=pump, args=(other, sock, []), daemon=True)
            back.start()
            pump(sock, other, seen)
            back.join(5)

    return stage.rogue(one).port, seen


def test_the_honest_enclave_is_accepted_and_gets_the_bytes(stage) -> None:
    enclave = stage.enclave()
    with stage.connect(enclave.net.port) as stream:
        assert stream.verified.claims.measurement("pcr0") == "10" * 48
        stream.write(b"GET / HTTP/1.1\r\n\r\n")
        assert stream.read(100).endswith(b"hello")
    assert enclave.received == b"GET / HTTP/1.1\r\n\r\n"


# --- relay -----------------------------------------------------------------------------------------


def test_carrying_bytes_to_the_right_enclave_shows_the_rogue_nothing(stage) -> None:
    enclave = stage.enclave()
    port, seen = carry(stage, enclave.net.port)
    with stage.connect(port) as stream:
        stream.write(SECRET)
    enclave.net.settle()
    assert enclave.received == SECRET
    assert SECRET[-12:] not in b"".join(seen)


def test_relay_to_an_enclave_of_another_image(stage) -> None:
    other = stage.enclave({0: b"\x66" * 48, 1: b"\x11" * 48, 2: b"\x12" * 48})
    port, _ = carry(stage, other.net.port)
    assert codes(refused(stage, port)) == {"M201"}
    other.net.settle()
    assert other.received == b""


def test_relay_to_a_debug_enclave(stage) -> None:
    debug = stage.enclave({})
    port, _ = carry(stage, debug.net.port)
    assert codes(refused(stage, port)) == {"M201", "P101"}
    debug.net.settle()
    assert debug.received == b""


def test_changed_bytes_on_the_way(stage) -> None:
    enclave = stage.enclave()

    def one(sock: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", enclave.net.port), timeout=5) as other:
            threading.Thread(target=pump, args=(sock, other, []), daemon=True).start()
            carried = 0
            while data := bytearray(other.recv(65536)):
                # Past the handshake's first flight; the answer with the evidence is longer than that.
                if carried <= 3000 < carried + len(data):
                    data[3000 - carried] ^= 1
                carried += len(data)
                sock.sendall(data)

    assert isinstance(refused(stage, stage.rogue(one).port), Unavailable)
    enclave.net.settle()
    assert enclave.received == b""


# --- replay ----------------------------------------------------------------------------------------


def test_replay_of_evidence_recorded_from_an_honest_session(stage) -> None:
    enclave = stage.enclave()
    stage.connect(enclave.net.port).close()
    recorded = enclave.recorded[0][3]
    rogue = Terminator(stage, lambda _s, _q: answered(recorded))
    assert codes(refused(stage, rogue.port)) == {"B101", "B201", "B301"}
    only_the_question(rogue)


def test_replay_with_the_certificate_key_of_the_enclave_stolen(stage) -> None:
    enclave = stage.enclave()
    stage.connect(enclave.net.port).close()
    recorded = enclave.recorded[0][3]
    rogue = Terminator(stage, lambda _s, _q: answered(recorded))
    rogue.credentials = enclave.credentials
    assert codes(refused(stage, rogue.port)) == {"B101", "B301"}
    only_the_question(rogue)


def test_replay_of_a_whole_recorded_connection(stage) -> None:
    enclave = stage.enclave()
    flight: list[bytes] = []

    def record(sock: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", enclave.net.port), timeout=5) as other:
            threading.Thread(target=pump, args=(sock, other, []), daemon=True).start()
            pump(other, sock, flight)

    stage.connect(stage.rogue(record).port).close()

    def play(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"".join(flight))

    assert isinstance(refused(stage, stage.rogue(play).port), Unavailable)


# --- splice ----------------------------------------------------------------------------------------


def between(enclave) -> Callable[[Session, Question], bytes]:
    """Passes the client's nonce on to the enclave in a session of the rogue's own."""

    def answer(_: Session, question: Question) -> bytes:
        tls = context()
        tls.set_alpn_protos([ALPN])
        connection = SSL.Connection(tls, None)
        connection.set_connect_state()
        sock = socket.create_connection(("127.0.0.1", enclave.net.port), timeout=5)
        with Session(sock, connection, idle=5) as inner:
            inner.handshake(seconds=5)
            inner.write(question.encode())
            return answered(read_answer(inner.take).evidence)

    return answer


def test_two_sessions_spliced_with_the_clients_own_nonce(stage) -> None:
    enclave = stage.enclave()
    rogue = Terminator(stage, between(enclave))
    assert codes(refused(stage, rogue.port)) == {"B201", "B301"}
    only_the_question(rogue)


def test_two_sessions_spliced_with_the_certificate_key_stolen(stage) -> None:
    """Only the exporter tells the two sessions apart, and it does."""
    enclave = stage.enclave()
    rogue = Terminator(stage, between(enclave))
    rogue.credentials = enclave.credentials
    assert codes(refused(stage, rogue.port)) == {"B301"}
    only_the_question(rogue)


# --- evidence of another purpose -------------------------------------------------------------------


@pytest.mark.parametrize("stranger", ["exporter", "key", "channel fields", "channel binding"])
def test_a_stranger_asks_the_app_to_attest_his_key_or_exporter(stage, stranger: str) -> None:
    """The agent binds app data under the app's tag, so none of this is evidence of a channel."""
    attester = Attester(stage.enclave().nsm, identity=b"identity key")

    def answer(session: Session, question: Question) -> bytes:
        exporter, key, nonce = (
            session.exporter(question.nonce),
            rogue.credentials.spki,
            question.nonce,
        )
        data = {
            "exporter": exporter,
            "key": key,
            "channel fields": exporter + key + nonce,
            "channel binding": bind(Tag.CHANNEL, exporter, key, nonce),
        }[stranger]
        return answered(attester.for_app(data, nonce))

    rogue = Terminator(stage, answer)
    assert codes(refused(stage, rogue.port)) == {"B201", "B301"}
    only_the_question(rogue)


def test_evidence_of_an_identity_is_no_evidence_of_a_channel(stage) -> None:
    """Even where the identity key is the very key of the certificate."""

    def answer(_: Session, question: Question) -> bytes:
        attester = Attester(stage.enclave().nsm, identity=rogue.credentials.spki)
        return answered(attester.for_identity(question.nonce))

    rogue = Terminator(stage, answer)
    assert codes(refused(stage, rogue.port)) == {"B301"}
    only_the_question(rogue)


# --- a forged enclave ------------------------------------------------------------------------------


def forger(stage, nsm) -> Terminator:
    def answer(session: Session, question: Question) -> bytes:
        key = rogue.credentials.spki
        binding = bind(Tag.CHANNEL, session.exporter(question.nonce), key, question.nonce)
        return answered(nsm.attest(user_data=binding, nonce=question.nonce, public_key=key))

    rogue = Terminator(stage, answer)
    return rogue


def test_the_rogue_signs_under_a_root_of_its_own(stage) -> None:
    rogue = forger(stage, stage.opened_nsm(pki=DevelopmentPki.create(stage.clock())))
    assert codes(refused(stage, rogue.port)) == {"G101"}
    only_the_question(rogue)


def test_a_development_root_that_nobody_named(stage) -> None:
    rogue = forger(stage, stage.opened_nsm())
    assert codes(refused(stage, rogue.port, trust=())) == {"G101"}
    only_the_question(rogue)


# --- strip, delay ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x00\x00\x03\xa1\x61\x76",
        b"\x00\x00\x00\x04\xa1\x61\x76\x01",
        Answer(platform="nitro", evidence=b"").encode(),
        Answer(platform="nitro", evidence=b"\x00" * 16384).encode(),
        Answer(platform="none", evidence=b"none").encode(),
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff" + b"\x00" * 100,
        b"\x00\x01\x00\x01" + b"\x00" * 65537,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=[
        "cut map",
        "no evidence",
        "empty evidence",
        "zeros",
        "another kind",
        "empty frame",
        "huge frame",
        "frame one over the limit",
        "application bytes first",
    ],
)
def test_evidence_stripped_or_broken(stage, answer: bytes) -> None:
    rogue = Terminator(stage, lambda _s, _q: answer)
    assert isinstance(refused(stage, rogue.port), Malformed)
    only_the_question(rogue)


def test_the_right_evidence_under_a_wrong_name(stage) -> None:
    enclave = stage.enclave()

    def serve(sock: socket.socket) -> None:
        accept(sock, enclave.credentials, enclave.attest, platform="another").close()

    error = refused(stage, stage.rogue(serve).port)
    assert isinstance(error, Malformed)
    assert "'another'" in str(error)


def test_application_bytes_behind_the_answer_wait_for_the_verdict(stage) -> None:
    enclave = stage.enclave()
    enclave.app = lambda session: session.write(b"early")
    with stage.connect(enclave.net.port) as stream:
        assert stream.read(5) == b"early"


def delayed(stage, by: timedelta):
    enclave = stage.enclave()
    honest = enclave.attest

    def attest(exporter: bytes, spki: bytes, nonce: bytes) -> bytes:
        evidence = honest(exporter, spki, nonce)
        stage.clock.moved += by
        return evidence

    enclave.attest = attest
    return enclave


def test_an_answer_held_back_past_the_age_that_the_policy_names(stage) -> None:
    enclave = delayed(stage, timedelta(minutes=3))
    policy = replace(stage.policy, max_age=timedelta(minutes=2))
    assert codes(refused(stage, enclave.net.port, policy=policy)) == {"R101"}
    assert enclave.received == b""


def test_an_answer_held_back_past_the_default_age(stage) -> None:
    enclave = delayed(stage, timedelta(minutes=6))
    error = refused(stage, enclave.net.port)
    assert isinstance(error, Unavailable)
    assert "longer to attest" in str(error)
    assert enclave.received == b""


def test_an_answer_held_back_past_the_life_of_the_certificates(stage) -> None:
    enclave = delayed(stage, timedelta(hours=4))
    assert "G103" in codes(refused(stage, enclave.net.port))
    assert enclave.received == b""


def test_an_answer_from_the_future(stage) -> None:
    enclave = delayed(stage, timedelta(minutes=-3))
    assert "R102" in codes(refused(stage, enclave.net.port))
    assert enclave.received == b""


def test_a_host_that_drips_is_cut_off_by_the_deadline(stage) -> None:
    def drip(sock: socket.socket) -> None:
        sock.sendall(b"\x16\x03\x03\x3f\xff\x02")  # a record's head; its 16 KiB come one by one
        while True:
            sock.sendall(b"\x00")
            threading.Event().wait(0.02)

    error = refused(stage, stage.rogue(drip).port, seconds=0.3)
    assert isinstance(error, Unavailable)
    assert "took too long" in str(error)


def test_a_session_takes_nothing_more_once_its_evidence_is_old(stage) -> None:
    enclave = stage.enclave()
    with stage.connect(enclave.net.port) as stream:
        stream.write(b"GET / HTTP/1.1\r\n\r\n")
        assert stream.read(100)
        stage.clock.moved += timedelta(minutes=6)
        with pytest.raises(Unavailable, match="older than the policy allows"):
            stream.write(SECRET)
    enclave.net.settle()
    assert SECRET not in enclave.received


def test_a_clock_that_is_set_back_does_not_lengthen_a_session(stage) -> None:
    enclave = stage.enclave()
    policy = replace(stage.policy, max_age=timedelta(seconds=1))
    with stage.connect(enclave.net.port, policy=policy) as stream:
        stage.clock.moved -= timedelta(hours=1)
        threading.Event().wait(1.1)
        with pytest.raises(Unavailable, match="older than the policy allows"):
            stream.write(SECRET)
    enclave.net.settle()
    assert enclave.received == b""


# --- TLS -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point", ["accept", "client hello", "server hello", "handshake", "question", "half the answer"]
)
def test_closed_at_each_point(stage, point: str) -> None:
    enclave = stage.enclave()

    def tcp(sock: socket.socket) -> None:
        if point == "accept":
            return
        hello = sock.recv(65536)
        if point == "client hello":
            return
        with socket.create_connection(("127.0.0.1", enclave.net.port), timeout=5) as other:
            other.sendall(hello)
            sock.sendall(other.recv(100))

    def tls(session: Session, question: Question) -> bytes | None:
        if point == "question":
            return None
        evidence = enclave.attest(session.exporter(question.nonce), b"key", question.nonce)
        session.write(answered(evidence)[:2000])
        return None

    def shaken(sock: socket.socket) -> None:
        connection = SSL.Connection(make_credentials().tls, None)
        connection.set_accept_state()
        with Session(sock, connection, idle=5) as session:
            session.handshake(seconds=5)

    if point in ("accept", "client hello", "server hello"):
        port = stage.rogue(tcp).port
    elif point == "handshake":
        port = stage.rogue(shaken).port
    else:
        port = Terminator(stage, tls).port
    assert isinstance(refused(stage, port), Unavailable)
    assert enclave.received == b""


def rogue_tls(stage, minimum: int, maximum: int, alpn: bool) -> int:
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(minimum)
    made.set_max_proto_version(maximum)

    def one(sock: socket.socket) -> None:
        connection = SSL.Connection(made, None)
        connection.set_accept_state()
        with Session(sock, connection, idle=5) as session:
            session.handshake(seconds=5)
            session.write(answered(b"x"))

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    made.use_privatekey(key)
    made.use_certificate(
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(stage.clock() - timedelta(days=1))
        .not_valid_after(stage.clock() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    if alpn:
        made.set_alpn_select_callback(lambda _c, _o: ALPN)
    return stage.rogue(one).port


def test_downgrade_to_tls_1_2(stage) -> None:
    port = rogue_tls(stage, SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION, alpn=True)
    error = refused(stage, port)
    assert isinstance(error, Unavailable)
    assert "handshake failed" in str(error)


def test_another_protocol_over_tls_1_3(stage) -> None:
    port = rogue_tls(stage, SSL.TLS1_3_VERSION, SSL.TLS1_3_VERSION, alpn=False)
    error = refused(stage, port)
    assert isinstance(error, Unavailable)
    assert "troth/1" in str(error)


def test_no_tls_at_all(stage) -> None:
    def plain(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        sock.recv(65536)

    assert isinstance(refused(stage, stage.rogue(plain).port), Unavailable)


def test_the_enclave_resumes_nothing(stage) -> None:
    """A client that keeps the session's secrets and comes back has to shake hands in full."""
    enclave = stage.enclave()
    tls = SSL.Context(SSL.TLS_METHOD)
    tls.set_alpn_protos([ALPN])
    tls.set_session_cache_mode(SSL.SESS_CACHE_CLIENT)
    kept = None
    for _ in range(2):
        sock = socket.create_connection(("127.0.0.1", enclave.net.port), timeout=5)
        connection = SSL.Connection(tls, None)
        if kept is not None:
            connection.set_session(kept)
        connection.set_connect_state()
        with Session(sock, connection, idle=5) as session:
            session.handshake(seconds=5)
            session.write(Question(nonce=bytes(32)).encode())
            assert read_answer(session.take).evidence
            kept = connection.get_session()
            assert not lib.SSL_session_reused(connection._ssl)
            assert lib.SSL_SESSION_get_max_early_data(kept._session) == 0


def test_two_sessions_of_one_client_share_no_exporter(stage) -> None:
    enclave = stage.enclave()
    for _ in range(2):
        stage.connect(enclave.net.port).close()
    first, second = enclave.recorded
    assert first[0] != second[0]
    assert first[2] != second[2]
    assert first[1] == second[1]


def test_the_standard_librarys_client_learns_nothing_without_asking(stage) -> None:
    """Any TLS 1.3 client may shake hands; the application hears nothing before a question."""
    enclave = stage.enclave()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    tls.set_alpn_protocols(["troth/1"])
    with (
        socket.create_connection(("127.0.0.1", enclave.net.port), timeout=5) as sock,
        tls.wrap_socket(sock) as wrapped,
    ):
        wrapped.sendall(SECRET)
        assert wrapped.recv(100) == b""
    enclave.net.settle()
    assert enclave.received == b""
    assert any(isinstance(error, Malformed) for error in enclave.net.errors)
