"""A verified AI service: no byte of a request leaves before acceptance, and no answer counts unchecked.

`Inference` asks a host for its evidence, judges it, and then talks to the accepted key alone, in the
manner that the service's protocol has. Evidence is asked for anew when it is older than the policy's
maximum age, or when its keys have ended.
"""

import hashlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from troth.channel import kept, services, transcript
from troth.channel.client import Clock, now
from troth.channel.ehbp import KeyMismatch
from troth.channel.flow import Flow, parsed, said
from troth.channel.manner_aci import Aci
from troth.channel.manners import Came, Manner, Older, Plain, Proof, Request, Sealed, Sent
from troth.channel.pinned import AnotherKey, Link, Pinned, vouched
from troth.channel.services import Asked, Service, aci, phala
from troth.channel.web import Dialler
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.channel import Binding
from troth.model.collateral import NONE, Collateral
from troth.model.roots import Root
from troth.model.verified import Verified
from troth.policy import Policy
from troth.policy.document import DEFAULT_MAX_AGE
from troth.verifier import bundle, verify
from troth.verifier.bundle import Bundle, Maker

SECONDS: Final = 60.0
IDLE: Final = 600.0
_STREAM: Final = "text/event-stream"
_PROOFS: Final = 100  # that are remembered
_LATEST: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an `Inference` is made with.

    Attributes:
        policy: what is required of the evidence, and how firm the way to the service must be.
        trust: roots added by name.
        collateral: endorsements beside those that the service brings.
        service: name of the protocol, or empty to try each.
        encrypt: whether contents are encrypted where the service takes that.
        authorities: who must vouch for the host's TLS certificate where evidence names no TLS key.
        keep: folder for bundles of evidence and receipts, or None.
        seconds: for asking and judging.
        idle: seconds without a byte after which an answer counts as lost.
        at: the clock that evidence is judged by.
        dialler: connects in place of TCP.
    """

    policy: Policy
    trust: Sequence[Root] = ()
    collateral: Collateral = NONE
    service: str = ""
    encrypt: bool = True
    authorities: ssl.SSLContext | None = None
    keep: Path | None = None
    seconds: float = SECONDS
    idle: float = IDLE
    at: Clock = now
    dialler: Dialler | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Established:
    """A service that was accepted.

    Attributes:
        asked: what it presented.
        verified: the verdict.
        manner: how it is talked to.
        pinned: connections to its key.
        expires: the instant after which it is asked anew.
        name: SHA-256 of the transcript.
    """

    asked: Asked
    verified: Verified
    manner: Manner
    pinned: Pinned
    expires: datetime
    name: bytes
    until: float = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP's number; one of failure is shown as it came, and nobody vouches for it.
        headers: names and values; nobody vouches for them.
        pieces: the body, to be read once. Raises `AnswerRefused` where it does not count, at the latest
            in place of its last piece.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: Iterator[bytes]


class Inference:
    """One service, verified at once.

    Args:
        url: `https://host[:port]`.
        settings: everything else.

    Raises:
        Rejected, Undecided: its evidence is not what the policy wants.
        Malformed, Unavailable, Misuse: it attests itself in no known way, or is not there.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self.url: Final = url
        self._settings: Final = settings
        self._lock = threading.Lock()
        self._established = self._establish()
        self.proofs: list[Proof] = []

    @property
    def verified(self) -> Verified:
        """The newest verdict."""
        return self._established.verified

    @property
    def asked(self) -> Asked:
        """What the newest verdict is on."""
        return self._established.asked

    @property
    def left_open(self) -> tuple[str, ...]:
        """What this service's protocol does not bind, one sentence each."""
        established = self._established
        return (*established.manner.left_open, *established.asked.found.not_bound)

    @property
    def binding(self) -> Binding:
        """How firmly what is sent is tied to the evidence."""
        return self._established.manner.firm

    def close(self) -> None:
        """Ends the idle connections."""
        self._established.pinned.close()

    def send(self, request: Request) -> Reply:
        """One request, and its answer as it may be shown.

        Raises:
            AnswerRefused: the answer does not count; also while a stream is read.
            Rejected, Undecided: evidence had to be asked for anew, and is no longer accepted.
            Misuse: the service cannot take this without showing it to others; nothing was sent.
            Malformed, Unavailable: the service does not speak HTTP, or is gone.
        """
        established, sent, link = self._ready(request)
        try:
            link.session.begin(idle=request.idle or self._settings.idle)
            answer = link.open(
                request.method,
                request.path,
                body=sent.body,
                headers=said(request.headers, sent.headers),
            )
            if established.manner.replaced(answer.headers):
                self._stale(established)
            pieces = sent.open(answer.status, answer.headers, answer.pieces)
            _refuse_odd(answer.status, answer.headers)
            if not 200 <= answer.status < 300:
                body = b"".join(pieces)
                established.pinned.give(link)
                return Reply(status=answer.status, headers=answer.headers, pieces=iter((body,)))
            flow = Flow(
                link,
                request,
                sent,
                answer.headers,
                release=established.pinned.give,
                renew=established.pinned.take,
                done=self._done(established, request),
            )
            kind = flow.headers.get("content-type", "")
            # What was not asked for piece by piece is one value, whatever its head says.
            if kind.startswith(_STREAM) and (parsed(request.body) or {}).get("stream"):
                shown = flow.stream(pieces)
            else:
                shown = iter((flow.whole(pieces),))
        except KeyMismatch:
            self._stale(established)
            link.close()
            raise
        except BaseException:
            link.close()
            raise
        return Reply(status=answer.status, headers=answer.headers, pieces=shown)

    def _ready(self, request: Request) -> tuple[Established, Sent, Link]:
        """A connection, and what goes out over it. A host with another key is verified anew, once."""
        established = self._current()
        sent = established.manner.prepare(request)
        try:
            return established, sent, established.pinned.take()
        except AnotherKey:
            self._stale(established)
        established = self._current()
        return established, established.manner.prepare(request), established.pinned.take()

    def _stale(self, established: Established) -> None:
        """The next request asks for evidence anew."""
        with self._lock:
            if self._established is established:
                self._established = replace(established, until=0.0)

    def _done(self, established: Established, request: Request) -> Callable[[Came, Proof], None]:
        """What happens when an answer counts."""

        def done(came: Came, proof: Proof) -> None:
            if proof.checks:
                self.proofs.append(proof)
            del self.proofs[:-_PROOFS]
            if self._settings.keep is not None and proof.receipt:
                self._keep_answer(self._settings.keep, established, request, came, proof)

        return done

    def _keep_answer(
        self, folder: Path, established: Established, request: Request, came: Came, proof: Proof
    ) -> None:
        data = kept.pack(
            kept.KeptAnswer(
                service=established.asked.found.service,
                evidence=established.name,
                request=bytes.fromhex(proof.request),
                response=bytes.fromhex(came.sha256),
                model=proof.model,
                endpoint=request.endpoint,
                at=int(self._settings.at().timestamp()),
                receipt=proof.receipt,
            )
        )
        _write(folder / f"{hashlib.sha256(data).hexdigest()[:32]}.answer", data)

    def _current(self) -> Established:
        with self._lock:
            held = self._established
            if self._settings.at() > held.expires or time.monotonic() > held.until:
                held.pinned.close()
                held = self._established = self._establish()
            return held

    def _establish(self) -> Established:
        settings = self._settings
        asked = services.ask(
            self.url,
            _in_order(),
            only=settings.service,
            seconds=settings.seconds,
            dialler=settings.dialler,
        )
        found = asked.found
        key = asked.transcript.key
        if key is None:
            raise Misuse("prompts go over TLS alone", fix="give an https address")
        manner = _manner(asked, encrypt=settings.encrypt)
        at = settings.at()
        collateral = settings.collateral + found.collateral
        verified = verify(
            # Contents that are sealed to the workload go to a key in the evidence, whoever ends TLS.
            replace(found.composite, channel=manner.firm),
            policy=settings.policy,
            at=at,
            nonce=found.nonce,
            trust=settings.trust,
            collateral=collateral,
            channel=manner.firm,
        )
        if found.keys.get("tls") != key:
            # Contents are for the attested workload, but the API key is for whoever ends TLS.
            vouching = vouched(self.url, authorities=settings.authorities, seconds=settings.seconds)
            if vouching != key:
                raise Unavailable(
                    "the host showed another TLS key to the authority's question than to ours",
                    fix="ask one instance, past any load balancer",
                )
        packed = transcript.pack(asked.transcript)
        self._keep_evidence(packed, at, found.nonce, collateral, verified)
        life = settings.policy.max_age or DEFAULT_MAX_AGE
        expires = at + life
        if manner.until is not None:
            expires = min(expires, datetime.fromtimestamp(min(manner.until, _LATEST), UTC))
        return Established(
            asked=asked,
            verified=verified,
            manner=manner,
            pinned=Pinned(self.url, key=key, idle=settings.idle, dialler=settings.dialler),
            expires=expires,
            name=hashlib.sha256(packed).digest(),
            until=time.monotonic() + (expires - at).total_seconds(),
        )

    def _keep_evidence(
        self,
        packed: bytes,
        at: datetime,
        nonce: bytes | None,
        collateral: Collateral,
        verified: Verified,
    ) -> None:
        folder = self._settings.keep
        if folder is None:
            return
        maker = Maker(
            policy=self._settings.policy.to_toml(),
            roots=b"",
            at=at,
            nonce=nonce,
            key=None,
            binding=None,
            report=b"",
        )
        endorsed = bundle.used(collateral, verified.report)
        data = bundle.pack(Bundle(evidence=packed, maker=maker, collateral=endorsed))
        _write(folder / f"{hashlib.sha256(packed).hexdigest()[:32]}.bundle", data)


def _in_order() -> tuple[Service, ...]:
    """Protocols that sign answers or encrypt contents come first: one host may speak several."""
    first = (aci.NAME, phala.NAME)
    return tuple(sorted(services.SERVICES, key=lambda service: service.name not in first))


def _manner(asked: Asked, *, encrypt: bool) -> Manner:
    """How a service of this kind is talked to. A session's evidence is not of the next session."""
    found = asked.found
    if asked.service.name == aci.NAME:
        return Aci(found, encrypt)
    if asked.service.name == phala.NAME:
        held = frozenset(k for role, k in found.keys.items() if role.startswith("address"))
        return Older(found.binding, held)
    if "hpke" in found.keys:
        return Sealed(found.keys["hpke"])
    pinned = found.keys.get("tls") == asked.transcript.key and found.binding.at_least(Binding.KEY)
    return Plain(Binding.KEY if pinned else Binding.NONE)


def _refuse_odd(status: int, headers: tuple[tuple[str, str], ...]) -> None:
    if 300 <= status < 400:
        raise Unavailable(f"the service answers with status {status}, which is not followed")
    for name, value in headers:
        if name.lower() == "content-encoding" and value.lower() != "identity":
            raise Malformed(f"is {value[:40]!r}, and none was asked for", field="Content-Encoding")


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise Unavailable(f"cannot keep {path.name}: {error.strerror or error}") from error
