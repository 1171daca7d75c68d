"""The caller's end: no byte of the application leaves before the evidence of this session is accepted."""

import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from OpenSSL import SSL

from troth.channel.frames import NONCE_SIZE, Question, read_answer
from troth.channel.session import ALPN, Session, context
from troth.errors import Malformed, Unavailable
from troth.model.collateral import NONE, Collateral
from troth.model.evidence import Evidence
from troth.model.roots import Root
from troth.model.verified import Verified
from troth.policy import Policy
from troth.policy.document import DEFAULT_MAX_AGE
from troth.verifier import verify
from troth.verifier.binding import Tag, bind

HANDSHAKE_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 300.0

Dialler = Callable[[], socket.socket]
"""Gives a connected socket each time; raises `Unavailable` or OSError."""
Clock = Callable[[], datetime]


def now() -> datetime:
    """The present instant by this machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All that a session's verdict was made of, so that it can be put into a bundle.

    Attributes:
        evidence: as presented.
        nonce: drawn by us for this session.
        exporter: of this session, for this nonce.
        key: the SubjectPublicKeyInfo (DER) of the server's certificate.
        at: the instant of judgement.
    """

    evidence: bytes
    nonce: bytes
    exporter: bytes
    key: bytes
    at: datetime

    @property
    def binding(self) -> bytes:
        """What the evidence had to bind: this session, its key and its nonce, under the channel's tag."""
        return bind(Tag.CHANNEL, self.exporter, self.key, self.nonce)


class AttestedStream:
    """A stream to an enclave whose evidence was accepted for this very session.

    It takes no more bytes once the evidence is older than the policy's maximum age: who wants to say
    more connects again, and so verifies again. What was asked before may still be read.

    Attributes:
        verified: the verdict, with the claims.
        proof: what it was made of.
        expires: the instant after which nothing more is sent.
    """

    def __init__(
        self, session: Session, *, verified: Verified, proof: Proof, expires: datetime, clock: Clock
    ) -> None:
        self._session = session
        self._clock = clock
        # A clock that is set back must not lengthen a session's life.
        self._until = time.monotonic() + (expires - proof.at).total_seconds()
        self.verified = verified
        self.proof = proof
        self.expires = expires

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the proper end, and a cut connection raises `Unavailable`."""
        return self._session.read(size)

    def write(self, data: bytes) -> None:
        """Sends all of it.

        Raises:
            Unavailable: the evidence behind this session is too old by now, or the connection is gone.
        """
        if self._clock() > self.expires or time.monotonic() > self._until:
            raise Unavailable(
                "the evidence behind this session is older than the policy allows",
                fix="connect again: a new session brings new evidence",
            )
        self._session.write(data)

    def end(self) -> None:
        """Says that nothing more will be written; reading goes on."""
        self._session.end()

    def close(self) -> None:
        """Ends the session and the connection."""
        self._session.close()


def connect(
    dialler: Dialler,
    *,
    policy: Policy,
    trust: Sequence[Root] = (),
    collateral: Collateral = NONE,
    at: Clock = now,
    name: str = "channel",
    seconds: float = HANDSHAKE_SECONDS,
    idle: float = IDLE_SECONDS,
) -> AttestedStream:
    """Dials, shakes hands, asks for evidence of this session, and judges it.

    Args:
        dialler: gives a connected socket.
        policy: what is required.
        trust: roots beside the vendors'.
        collateral: endorsements, where the platform needs any.
        at: the clock that evidence is judged by.
        name: what reports call the evidence.
        seconds: for handshake, question and answer together; a host that delays longer is cut off.
        idle: seconds without a byte after which the stream counts as dead.

    Raises:
        Rejected, Undecided: the evidence is not what the policy wants, or is not of this session.
        Malformed: the other side does not keep to the protocol.
        Unavailable: nobody there, not TLS 1.3, or gone before the answer.
    """
    session = _shaken(dialler, name=name, seconds=seconds, idle=idle)
    try:
        stream = _judge(
            session, policy=policy, trust=trust, collateral=collateral, clock=at, name=name
        )
        session.begin()
    except BaseException:
        session.close()
        raise
    return stream


def ask(dialler: Dialler, *, at: Clock = now, seconds: float = HANDSHAKE_SECONDS) -> Proof:
    """Asks for evidence of a session, and ends the session: nothing is judged, nothing else is said.

    Args:
        dialler: gives a connected socket.
        at: the clock.
        seconds: for handshake, question and answer together.

    Raises:
        Malformed: the other side does not keep to the protocol.
        Unavailable: nobody there, not TLS 1.3, or gone before the answer.
    """
    with _shaken(dialler, name="channel", seconds=seconds, idle=seconds) as session:
        return _ask(session, at)[0]


def _shaken(dialler: Dialler, *, name: str, seconds: float, idle: float) -> Session:
    """A session after its handshake."""
    try:
        sock = dialler()
    except OSError as error:
        raise Unavailable(
            f"cannot connect to {name}: {error.strerror or error}",
            fix="check the address, and that the enclave runs: `troth ps`",
        ) from error
    connection = SSL.Connection(_context(), None)
    connection.set_connect_state()
    session = Session(sock, connection, idle=idle)
    try:
        session.handshake(seconds=seconds)
    except BaseException:
        session.close()
        raise
    return session


def _ask(session: Session, clock: Clock) -> tuple[Proof, str]:
    """Evidence of this session, and of which platform its other side says that it is."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    session.write(Question(nonce=nonce).encode())
    answer = read_answer(session.take)
    proof = Proof(
        evidence=answer.evidence,
        nonce=nonce,
        exporter=session.exporter(nonce),
        key=session.peer_key(),
        at=clock(),
    )
    return proof, answer.platform


def _judge(
    session: Session,
    *,
    policy: Policy,
    trust: Sequence[Root],
    collateral: Collateral,
    clock: Clock,
    name: str,
) -> AttestedStream:
    asked = clock()
    proof, platform = _ask(session, clock)
    verified = verify(
        Evidence(data=proof.evidence, name=name),
        policy=policy,
        at=proof.at,
        nonce=proof.nonce,
        key=proof.key,
        binding=proof.binding,
        trust=trust,
        collateral=collateral,
    )
    if verified.report.platform != platform:
        raise Malformed(
            f"says {platform!r}, the evidence is of {verified.report.platform!r}",
            field="channel answer platform",
        )
    # Evidence over our nonce cannot be older than our question.
    expires = asked + (policy.max_age or DEFAULT_MAX_AGE)
    if proof.at > expires:
        raise Unavailable("the other side took longer to attest itself than evidence may be old")
    return AttestedStream(
        session,
        verified=verified,
        proof=proof,
        expires=expires,
        clock=clock,
    )


def _context() -> SSL.Context:
    made = context()
    made.set_alpn_protos([ALPN])
    # Nobody signed that certificate; the evidence is what says whose key it holds.
    made.set_verify(SSL.VERIFY_NONE)
    return made
