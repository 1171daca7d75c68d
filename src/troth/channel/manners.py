"""How a service is talked to once it was accepted: what becomes of a request, and what its answer must show.

One manner for each kind of service. `Plain` is for those that bind a TLS key and sign nothing; `Sealed`
for encrypted bodies (EHBP); `Older` for signatures over two digests. ACI's is in `manner_aci`.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

from troth.channel import ehbp, signatures
from troth.errors import Malformed, Misuse, TrothError
from troth.model.answer import AnswerRefused
from troth.model.channel import Binding
from troth.model.check import Check, failed, undecided
from troth.model.codes import Code
from troth.model.codes.answer import B411
from troth.model.report import Verdict, decide

TRIES: Final = 4  # a receipt may come a moment after its answer
MAX_RECEIPT: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as the application makes it.

    Attributes:
        method, path: path with its query, as HTTP has it.
        headers: what the application says; none of the connection's own.
        body: all of it.
        idle: seconds without a byte after which the answer counts as lost, where it is to be another
            than usual.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    idle: float | None = None

    @property
    def endpoint(self) -> str:
        """The path without the query."""
        return self.path.partition("?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """An answer that came to its end.

    Attributes:
        headers: names in lower case.
        sha256: of the bytes as they came, in hexadecimal.
        answer_id: the `id` in the answer, or empty.
    """

    headers: Mapping[str, str]
    sha256: str
    answer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What shows that an answer is the service's, for whoever keeps it.

    Attributes:
        name: of the receipt, or the answer's id.
        receipt: as it came; empty where the service signs nothing.
        checks: what came of each question.
        request: SHA-256 of the request that it is for, in hexadecimal.
        model: that it is for.
    """

    name: str
    receipt: bytes = b""
    checks: tuple[Check, ...] = ()
    request: str = ""
    model: str = ""


Get = Callable[[str], "tuple[int, bytes]"]
"""Asks for a path on the same connection: status and body."""
Opened = tuple[int, Iterator[bytes]]


class Sent(Protocol):
    """One request on its way.

    Attributes:
        headers: what is said beside the application's.
        body: what goes out.
        shows: whether an answer's JSON is to be changed before the caller sees it.
        signed: whether `check` looks at a signature over the whole answer.
    """

    headers: Mapping[str, str]
    body: bytes | Iterable[bytes]
    shows: bool
    signed: bool

    def open(
        self, status: int, headers: tuple[tuple[str, str], ...], pieces: Iterator[bytes]
    ) -> Iterator[bytes]:
        """The answer's bytes as they are signed: decrypted where whole bodies are encrypted."""

    def show(self, value: dict[str, Any]) -> None:
        """Makes an answer, or a piece of one, what the caller is to see."""

    def check(self, came: Came, get: Get) -> Proof:
        """Whether the answer counts, once it has come to its end.

        Raises:
            AnswerRefused: it does not.
        """


class Manner(Protocol):
    """How a service is talked to."""

    @property
    def firm(self) -> Binding:
        """How firmly what is sent in this manner is tied to the evidence."""

    @property
    def until(self) -> int | None:
        """Unix time from which the keys no longer count, or None."""

    @property
    def left_open(self) -> tuple[str, ...]:
        """What is not bound, beside what the service's module says."""

    def replaced(self, headers: tuple[tuple[str, str], ...]) -> bool:
        """Whether an answer hints that the service's keys are others by now."""

    def prepare(self, request: Request) -> Sent:
        """What is sent for a request. Nothing was sent yet.

        Raises:
            Misuse: this service cannot take it without showing it to others.
        """


@dataclass(slots=True)
class PlainSent:
    """A request that goes out as it is, over TLS to a key in the evidence."""

    body: bytes | Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    shows: bool = False
    signed: bool = False

    def open(
        self, _: int, __: tuple[tuple[str, str], ...], pieces: Iterator[bytes]
    ) -> Iterator[bytes]:
        """As they came."""
        return pieces

    def show(self, value: dict[str, Any]) -> None:
        """Nothing is changed."""

    def check(self, came: Came, _: Get) -> Proof:
        """The channel is all there is."""
        return Proof(name=came.answer_id)


@dataclass(frozen=True, slots=True)
class Plain:
    """TLS to a key in the evidence, and no signed answers."""

    firm: Binding
    until: int | None = None
    left_open: tuple[str, ...] = ("answers are not signed: nothing shows them to others",)

    def replaced(self, _: tuple[tuple[str, str], ...]) -> bool:
        """Nothing hints at it."""
        return False

    def prepare(self, request: Request) -> Sent:
        """As it is."""
        return PlainSent(request.body)


class SealedSent(PlainSent):
    """A request whose body is sealed to a key in the evidence (EHBP)."""

    def __init__(self, body: bytes, key: bytes) -> None:
        self._exchange = ehbp.Exchange(key)
        super().__init__(self._exchange.seal((body,)), self._exchange.headers)

    def open(
        self, status: int, headers: tuple[tuple[str, str], ...], pieces: Iterator[bytes]
    ) -> Iterator[bytes]:
        """Frames, opened; a failure may be anybody's and is shown as it is."""
        return self._exchange.answer(status, headers, pieces)[1]


@dataclass(frozen=True, slots=True)
class Sealed:
    """Bodies are sealed to an HPKE key in the evidence, whatever TLS ends where."""

    key: bytes
    firm: Binding = Binding.KEY
    until: int | None = None
    left_open: tuple[str, ...] = ehbp.NOT_BOUND

    def replaced(self, _: tuple[tuple[str, str], ...]) -> bool:
        """Nothing hints at it."""
        return False

    def prepare(self, request: Request) -> Sent:
        """Sealed where there is a body."""
        if not request.body:
            return PlainSent(b"")
        return SealedSent(request.body, self.key)


class OlderSent(PlainSent):
    """A request whose answer must have a signature over both."""

    def __init__(self, request: Request, addresses: frozenset[bytes], algorithm: str) -> None:
        super().__init__(request.body, signed=True)
        self._request = hashlib.sha256(request.body).hexdigest()
        self._model = model_of(request.body)
        self._addresses = addresses
        self._algorithm = algorithm

    def check(self, came: Came, get: Get) -> Proof:
        """The signature for the answer's id, by a key in the evidence."""
        if not came.answer_id:
            refuse([failed(B411, "answer", why="it has no id to ask a signature for")], B411)
        query = urlencode({"model": self._model, "signing_algo": self._algorithm})
        data = fetched(get, f"/v1/signature/{quote(came.answer_id, safe='')}?{query}")
        signed = read(signatures.read, data)
        # Any of several machines may have answered; which, the signature says, and the evidence that
        # it is one of them.
        known = signed.address if signed.address in self._addresses else min(self._addresses)
        found = signatures.checks(
            signed,
            address=known,
            request=self._request,
            response=came.sha256,
            model=self._model,
        )
        refuse(found, *signatures.REQUIRED, receipt=data)
        return Proof(
            name=came.answer_id,
            receipt=data,
            checks=found,
            request=self._request,
            model=self._model,
        )


@dataclass(frozen=True, slots=True)
class Older:
    """Answers are signed by keys in the evidence, in the form of `troth.channel.signatures`."""

    firm: Binding
    addresses: frozenset[bytes]
    algorithm: str = signatures.ECDSA
    until: int | None = None
    left_open: tuple[str, ...] = signatures.NOT_BOUND

    def replaced(self, _: tuple[tuple[str, str], ...]) -> bool:
        """Nothing hints at it."""
        return False

    def prepare(self, request: Request) -> Sent:
        """As it is; the answer to what has a body must be signed."""
        if not request.body:
            return PlainSent(b"")
        return OlderSent(request, self.addresses, self.algorithm)


def refuse(checks: Iterable[Check], *required: Code, receipt: bytes = b"") -> None:
    """Raises unless every check passed and every required question was answered.

    Raises:
        AnswerRefused: otherwise.
    """
    found = tuple(checks)
    if decide(found, required) is not Verdict.ACCEPTED:
        missing = {code.id for code in required} - {check.code.id for check in found}
        open_ = [undecided(code, "answer") for code in required if code.id in missing]
        raise AnswerRefused((*found, *open_), receipt=receipt)


def fetched(get: Get, path: str) -> bytes:
    """A receipt or signature.

    Raises:
        AnswerRefused: the service has none.
    """
    status = 0
    for _ in range(TRIES):
        status, data = get(path)
        if status == 200:
            return data
    why = f"asked for it, the service answered with status {status}"
    raise AnswerRefused([failed(B411, "answer", why=why)])


def read(reader: Callable[[bytes], Any], data: bytes) -> Any:
    """What a receipt says.

    Raises:
        AnswerRefused: it is none.
    """
    try:
        return reader(data)
    except Malformed as error:
        raise AnswerRefused([failed(B411, "answer", why=str(error))], receipt=data) from error


def model_of(body: bytes) -> str:
    """The model that a request asks for; empty where it names none.

    Raises:
        Misuse: the request is no JSON object.
    """
    value = json_of(body)
    model = value.get("model")
    return model if isinstance(model, str) else ""


def json_of(body: bytes) -> dict[str, Any]:
    """A request of our own application.

    Raises:
        Misuse: it is no JSON object.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Misuse(f"the request is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Misuse("the request is no JSON object")
    return value


def refused(error: TrothError) -> AnswerRefused:
    """An answer that could not be decrypted, as one that does not count."""
    return AnswerRefused([failed(B411, "answer", why=str(error))])
