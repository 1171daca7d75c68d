"""Encrypted HTTP bodies (EHBP): a request's body sealed to a key that evidence binds, and its answer back.

HPKE (RFC 9180) in base mode over the request's body; the answer under keys derived from that context, as
Oblivious HTTP does (RFC 9458 section 4.4). A body is frames, `u32be length ‖ ciphertext`, each sealed
alone, so that streams are read as they come. What this protocol leaves open is in `NOT_BOUND`.

Does not verify whose key it is: that is what evidence is for. A key fetched from `KEYS_PATH` is only
what somebody on the way said.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from troth.channel.http import MAX_BODY, Http, Response
from troth.channel.stream import Stream
from troth.crypto import hpke
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.wire import json
from troth.wire.reader import Reader
from troth.wire.text import from_hex

KEYS_PATH: Final = "/.well-known/hpke-keys"
KEYS_TYPE: Final = "application/ohttp-keys"
ENCAPSULATED: Final = "Ehbp-Encapsulated-Key"
NONCE: Final = "Ehbp-Response-Nonce"
PROBLEM_TYPE: Final = "application/problem+json"
KEY_PROBLEM: Final = "urn:ietf:params:ehbp:error:key-config"
INFO: Final = b"ehbp request"
LABEL: Final = b"ehbp response"
NONCE_SIZE: Final = 32
MAX_FRAME: Final = MAX_BODY
PIECE: Final = 64 * 1024
NOT_BOUND: Final = (
    "method, path, headers and status are outside the encryption, open to whoever ends TLS",
    "requests without a body, and the answers to them, are not encrypted",
    "an answer cut between two frames looks whole; the application's own end mark shows the cut",
    "the number and the lengths of frames are visible",
    "an error without a nonce may be anybody's on the way",
)

_HEADER: Final = 4
_MAX_PROBLEM: Final = 64 * 1024
_RESERVED: Final = frozenset(
    {"content-length", "transfer-encoding", "host", ENCAPSULATED.lower(), NONCE.lower()}
)
Headers = Iterable[tuple[str, str]]


class KeyMismatch(Unavailable):
    """The other side has another key than the one that was sealed to; it did not act on the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for a sealed request.

    Attributes:
        status: HTTP's number; nobody vouches for it.
        reason: the words beside it.
        headers: names and values in order; nobody vouches for them.
        sealed: whether the body was encrypted under this request's keys. False only for a status that
            is no success: the body is then anybody's.
        pieces: the body as it comes, to be read once; each piece was authenticated where `sealed`.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    sealed: bool
    pieces: Iterator[bytes]


class Client:
    """Sealed requests over one stream, one after the other.

    Args:
        stream: to whoever takes requests for the holder of the key.
        authority: HTTP's Host.
        key: X25519, 32 bytes, from evidence that was accepted.
    """

    def __init__(self, stream: Stream, authority: str, key: bytes) -> None:
        self._http = Http(stream, authority)
        self._key = key

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        max_body: int = MAX_BODY,
    ) -> Response:
        """One request, and all of its answer; a status of failure may be anybody's, see `open`.

        Raises:
            Misuse: there is no body to seal, or a header that is the protocol's own.
            Malformed: the answer is not what this protocol has, or longer than `max_body`.
            KeyMismatch: the other side's key is another one by now: verify again.
            Unavailable: the connection is gone.
        """
        answer = self.open(method, path, body=(body,), headers=headers, max_body=max_body)
        return Response(
            status=answer.status,
            reason=answer.reason,
            headers=answer.headers,
            body=b"".join(answer.pieces),
        )

    def open(
        self,
        method: str,
        path: str,
        *,
        body: Iterable[bytes],
        headers: Mapping[str, str] | None = None,
        max_body: int = MAX_BODY,
    ) -> Answer:
        """One request, and its answer as it comes; raises as `request` does, also while it is read."""
        said = dict(headers or {})
        if taken := sorted(name for name in said if name.lower() in _RESERVED):
            raise Misuse(
                f"the header {taken[0]} is the protocol's own", fix=f"leave {taken[0]} away"
            )
        pieces = _first(body)
        exchange = Exchange(self._key)
        answer = self._http.open(
            method, path, exchange.seal(pieces), said | exchange.headers, max_body
        )
        sealed, opened = exchange.answer(answer.status, answer.headers, answer.pieces)
        return Answer(
            status=answer.status,
            reason=answer.reason,
            headers=answer.headers,
            sealed=sealed,
            pieces=opened,
        )


class Exchange:
    """The keys of one request and its answer, for whoever moves the bytes himself.

    Args:
        key: X25519, 32 bytes.

    Attributes:
        headers: what the request must say; besides, it is sent in chunks, without a Content-Length.

    Raises:
        Malformed: `key` is none.
    """

    def __init__(self, key: bytes) -> None:
        self._sealer = hpke.Sealer(key, INFO)
        self.headers: Final = {ENCAPSULATED: self._sealer.encapsulated.hex()}

    def seal(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The request's body as frames, one for each piece of at most 64 KiB."""
        for piece in pieces:
            for at in range(0, len(piece), PIECE):
                yield _frame(self._sealer.seal(piece[at : at + PIECE]))

    def answer(
        self, status: int, headers: Headers, pieces: Iterable[bytes]
    ) -> tuple[bool, Iterator[bytes]]:
        """Whether the answer is sealed, and its body in the clear.

        Raises:
            Malformed: a success without a nonce, which would be anybody's answer; two nonces, or none
                of 32 bytes in lower-case hex.
            KeyMismatch: the other side says that its key is another.
        """
        headers = tuple(headers)
        nonce = _header(headers, NONCE)
        if nonce is None:
            if 200 <= status < 300:
                raise Malformed("is absent from a success: the body is anybody's", field=NONCE)
            return False, iter((_problem(status, headers, pieces),))
        exported = self._sealer.export(LABEL)
        aead, base = answer_keys(exported, self._sealer.encapsulated, _hex(nonce, NONCE))
        return True, _opened(
            pieces, lambda at, data: hpke.opened(aead, hpke.nth_nonce(base, at), data)
        )


class Receiver:
    """The enclave's end.

    Args:
        private: its key, which its evidence binds.
    """

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private
        self.key: Final = private.public_key().public_bytes_raw()

    def request(self, headers: Headers, pieces: Iterable[bytes]) -> "Received | None":
        """What a request holds; None where it is not sealed, and must be answered in the clear.

        Raises:
            Malformed: it is sealed to nobody, or its first frame is broken.
            KeyMismatch: it is not sealed to this key.
        """
        encapsulated = _header(tuple(headers), ENCAPSULATED)
        if encapsulated is None:
            return None
        enc = _hex(encapsulated, ENCAPSULATED)
        return Received(hpke.Opener(self._private, enc, INFO), enc, pieces)


class Received:
    """A sealed request: its body, and what its answer is sealed with.

    Attributes:
        pieces: the body in the clear, as it comes.
        headers: what the answer must say; besides, it is sent in chunks, without a Content-Length.
    """

    def __init__(self, opener: hpke.Opener, enc: bytes, pieces: Iterable[bytes]) -> None:
        nonce = secrets.token_bytes(NONCE_SIZE)
        self.headers: Final = {NONCE: nonce.hex()}
        self._aead, self._base = answer_keys(opener.export(LABEL), enc, nonce)
        self._sent = 0
        opened = _opened(pieces, lambda _, data: opener.open(data))
        try:
            # Whoever has the key's wrong half learns it before anything acts on the request.
            first = next(opened, b"")
        except Malformed as error:
            if error.field != "ciphertext":
                raise
            raise KeyMismatch("the request is not sealed to this key") from None
        self.pieces: Final = _chained(first, opened)

    def seal(self, piece: bytes) -> bytes:
        """The next frame of the answer."""
        sealed = self._aead.encrypt(hpke.nth_nonce(self._base, self._sent), piece, None)
        self._sent += 1
        return _frame(sealed)


def answer_keys(exported: bytes, encapsulated: bytes, nonce: bytes) -> tuple[AESGCM, bytes]:
    """What an answer is sealed with: the cipher under its key, and the nonce of its first frame."""
    key, base = answer_secrets(exported, encapsulated, nonce)
    return AESGCM(key), base


def answer_secrets(exported: bytes, encapsulated: bytes, nonce: bytes) -> tuple[bytes, bytes]:
    """Key and base nonce of an answer (RFC 9458 section 4.4)."""
    derived = hpke.extract(encapsulated + nonce, exported)
    return (
        hpke.expand(derived, b"key", hpke.KEY_SIZE),
        hpke.expand(derived, b"nonce", hpke.NONCE_SIZE),
    )


def read_keys(data: bytes) -> bytes:
    """The X25519 key in an `application/ohttp-keys` body of exactly one configuration.

    RFC 9458 section 3.2 puts a length of two bytes before each configuration; servers of EHBP send the
    bare configuration. Both are read, and nothing else.

    Raises:
        Malformed: another suite, several configurations, or other bytes.
    """
    field = "HPKE key configuration"
    bare = Reader(data)
    if int.from_bytes(data[:2], "big") == len(data) - 2:
        bare.take(2, field)
    bare.take(1, f"{field}: key id")
    kem = bare.uint(2, f"{field}: KEM")
    if kem != hpke.KEM_ID:
        raise Malformed(f"is {kem:#06x}, should be X25519 with HKDF-SHA256", field=f"{field}: KEM")
    key = bare.take(hpke.KEY_SIZE, f"{field}: public key")
    suites = bare.take(bare.uint(2, f"{field}: suites"), f"{field}: suites")
    if suites != _SUITE:
        raise Malformed(
            "should be HKDF-SHA256 with AES-256-GCM and no other", field=f"{field}: suites"
        )
    bare.end(field)
    return key


def write_keys(key: bytes) -> bytes:
    """The configuration of one key as servers of EHBP send it, key id 0."""
    head = b"\0" + hpke.KEM_ID.to_bytes(2, "big")
    return head + key + len(_SUITE).to_bytes(2, "big") + _SUITE


def write_problem() -> bytes:
    """The body of the 422 by which a server says that its key is another."""
    return json.canonical({"type": KEY_PROBLEM, "title": "key configuration mismatch"})


_SUITE: Final = hpke.KDF_ID.to_bytes(2, "big") + hpke.AEAD_ID.to_bytes(2, "big")


def _frame(ciphertext: bytes) -> bytes:
    return len(ciphertext).to_bytes(_HEADER, "big") + ciphertext


def _opened(pieces: Iterable[bytes], unseal: Callable[[int, bytes], bytes]) -> Iterator[bytes]:
    """Frames out of bytes that come cut anywhere; an empty frame is none, and takes no number."""
    held, index = bytearray(), 0
    for piece in pieces:
        held += piece
        while len(held) >= _HEADER:
            size = int.from_bytes(held[:_HEADER], "big")
            if size > MAX_FRAME:
                raise Malformed(f"is of {size} bytes, at most {MAX_FRAME} may be", field="frame")
            if len(held) < _HEADER + size:
                break
            ciphertext = bytes(held[_HEADER : _HEADER + size])
            del held[: _HEADER + size]
            if ciphertext:
                yield unseal(index, ciphertext)
                index += 1
    if held:
        raise Malformed("ends within a frame", field="frame")


def _first(body: Iterable[bytes]) -> Iterator[bytes]:
    """The body from its first byte on."""
    pieces = iter(body)
    for piece in pieces:
        if piece:
            return _chained(piece, pieces)
    raise Misuse(
        "a request without a body would go, and be answered, in the clear",
        fix="give it a body, or ask outside EHBP what is no secret",
    )


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _header(headers: Sequence[tuple[str, str]], name: str) -> str | None:
    values = [value.strip(" \t") for known, value in headers if known.lower() == name.lower()]
    if len(values) > 1:
        raise Malformed("stands twice", field=name)
    return values[0] if values else None


def _hex(text: str, field: str) -> bytes:
    data = from_hex(text, field=field)
    if len(data) != NONCE_SIZE or text != data.hex():
        raise Malformed(f"is not {NONCE_SIZE} bytes in lower-case hex", field=field)
    return data


def _problem(status: int, headers: Sequence[tuple[str, str]], pieces: Iterable[bytes]) -> bytes:
    """A body in the clear, which is read in full and raised if it says that the key is another."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > _MAX_PROBLEM:
            raise Malformed(f"is longer than {_MAX_PROBLEM} bytes, in the clear", field="error")
    kind = (_header(headers, "Content-Type") or "").partition(";")[0].strip().lower()
    if status == 422 and kind == PROBLEM_TYPE and _says_key(bytes(body)):
        raise KeyMismatch(
            "the other side has another key than the one that this request was sealed to",
            fix="verify the service again, and seal to the key that its new evidence binds",
        )
    return bytes(body)


def _says_key(body: bytes) -> bool:
    try:
        said = json.parse(body, field="problem", limit=_MAX_PROBLEM)
    except TrothError:
        return False
    return isinstance(said, dict) and said.get("type") == KEY_PROBLEM
