"""An attested handshake beside a plain one: TCP, TLS 1.3, and the first byte of the application back.

Both ends are in this process, on loopback, and both kinds use the same code and the same library. The
attested kind adds a question, evidence (one P-384 signature by the simulated module), and the verdict.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from bench.timing import Line, best
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from troth.channel import client
from troth.channel.server import accept, make_credentials
from troth.channel.session import ALPN, Session, context
from troth.crypto import issued
from troth.errors import TrothError
from troth.platforms.nitro.collect import Nsm
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, new_instance
from troth.policy import Policy
from troth.verifier.binding import Tag, bind

IMAGE = {index: bytes([0x10 + index]) * 48 for index in range(3)}
CREDENTIALS = make_credentials()


class _Direct:
    """The simulated module as a transport, without a socket between."""

    def __init__(self, nsm: SimulatedNsm) -> None:
        self.exchange = nsm.request

    def close(self) -> None:
        """Nothing is held."""


def _now() -> datetime:
    return datetime.now(UTC)


def _serve(shake: Callable[[socket.socket], Session]) -> Callable[[], socket.socket]:
    """A server that echoes one byte behind the handshake; and a dialler to it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def run() -> None:
        while True:
            sock, _ = listener.accept()
            with contextlib.suppress(TrothError), shake(sock) as session:
                session.write(session.take(1))

    threading.Thread(target=run, daemon=True).start()
    return lambda: socket.create_connection(listener.getsockname())


def _plain_server(sock: socket.socket) -> Session:
    connection = SSL.Connection(CREDENTIALS.tls, None)
    connection.set_accept_state()
    session = Session(sock, connection, idle=10)
    session.handshake(seconds=10)
    session.begin()
    return session


def _plain(dial: Callable[[], socket.socket]) -> None:
    tls = context()
    tls.set_alpn_protos([ALPN])
    connection = SSL.Connection(tls, None)
    connection.set_connect_state()
    with Session(dial(), connection, idle=10) as session:
        session.handshake(seconds=10)
        session.begin()
        session.write(b"x")
        assert session.take(1) == b"x"


def lines() -> list[Line]:
    """With the certificate chain known and unknown, and against the operations it cannot do without."""
    pki = DevelopmentPki.create(_now())
    nsm = Nsm(_Direct(SimulatedNsm(pki, IMAGE, new_instance(), _now)))
    policy = Policy.for_image({"nitro": {f"pcr{i}": value.hex() for i, value in IMAGE.items()}})
    trust = [pki.root()]

    def attest(exporter: bytes, spki: bytes, nonce: bytes) -> bytes:
        binding = bind(Tag.CHANNEL, exporter, spki, nonce)
        return nsm.attest(user_data=binding, nonce=nonce, public_key=spki)

    plain_dial = _serve(_plain_server)
    attested_dial = _serve(lambda sock: accept(sock, CREDENTIALS, attest, platform="nitro"))

    def attested() -> None:
        with client.connect(attested_dial, policy=policy, trust=trust) as stream:
            stream.write(b"x")
            assert stream.read(1) == b"x"

    def cold() -> None:
        issued.forget()
        attested()

    key = ec.generate_private_key(ec.SECP384R1())
    algorithm = ec.ECDSA(hashes.SHA384())

    def signature() -> None:
        key.public_key().verify(key.sign(b"x", algorithm), b"x", algorithm)

    took = best(
        {
            "plain": lambda: _plain(plain_dial),
            "attested": attested,
            "cold": cold,
            "signature": signature,
        }
    )
    floor = took["plain"] + took["signature"]
    return [
        Line("attested handshake, chain known", took["attested"], "plain TLS 1.3", took["plain"]),
        Line("attested handshake, nothing known", took["cold"], "plain TLS 1.3", took["plain"]),
        Line(
            "attested handshake, chain known",
            took["attested"],
            "plain, one P-384 signature and its check",
            floor,
        ),
    ]


if __name__ == "__main__":
    for line in lines():
        print(
            f"{line.what}: {line.amount * 1e3:.2f} ms; {line.floor}: {line.floor_amount * 1e3:.2f} ms;"
            f" ratio {line.ratio:.2f}"
        )
