"""What a service answered to one question, kept: so that anyone can read the same answers again.

Canonical CBOR, schema `troth/transcript/1`. It holds bytes as they came, and no opinion: what they must
bind is computed anew by the service's own module whenever a transcript is read. Its nonce and its TLS key
are what whoever made it says they were.
"""

from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from troth.channel import greeting
from troth.channel.http import Response
from troth.channel.web import MAX_ANSWER, Exchange, Web
from troth.errors import Malformed, Misuse
from troth.wire import cbor
from troth.wire.transcript import SCHEMA

MAX_BYTES: Final = 15 * 1024 * 1024
_KEYS: Final = frozenset(
    {"schema", "service", "url", "nonce", "key", "certificate", "exporter", "exchanges"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One question to one service.

    Attributes:
        service: name of the protocol.
        url: the origin that was asked.
        nonce: what was asked with.
        key: SubjectPublicKeyInfo (DER) of the TLS leaf, or None over plain http.
        certificate: the leaf (DER), or None.
        exporter: of the session, where the protocol binds it, or None.
        exchanges: in order.
    """

    service: str
    url: str
    nonce: bytes
    key: bytes | None
    certificate: bytes | None
    exporter: bytes | None
    exchanges: tuple[Exchange, ...]


def of(web: Web, *, service: str, nonce: bytes) -> Transcript:
    """What was asked of an origin until now."""
    return Transcript(
        service=service,
        url=web.url,
        nonce=nonce,
        key=web.key if web.secure else None,
        certificate=web.certificate if web.secure else None,
        exporter=web.exported,
        exchanges=tuple(web.exchanges),
    )


def pack(transcript: Transcript) -> bytes:
    """The transcript's one encoding.

    Raises:
        Misuse: it is larger than a transcript may be.
    """
    data = cbor.encode(
        {
            "schema": SCHEMA,
            "service": transcript.service,
            "url": transcript.url,
            "nonce": transcript.nonce,
            "key": transcript.key,
            "certificate": transcript.certificate,
            "exporter": transcript.exporter,
            "exchanges": [
                [
                    one.method,
                    one.path,
                    one.body,
                    one.answer.status,
                    [list(header) for header in one.answer.headers],
                    one.answer.body,
                ]
                for one in transcript.exchanges
            ],
        }
    )
    if len(data) > MAX_BYTES:
        raise Misuse(f"these answers are larger than the {MAX_BYTES} bytes of a transcript")
    return data


def unpack(data: bytes) -> Transcript:
    """Reads a transcript.

    Raises:
        Malformed: not the one encoding of a transcript.
    """
    if len(data) > MAX_BYTES:
        raise Malformed(f"is larger than {MAX_BYTES} bytes", field="transcript", offset=0)
    value = cbor.decode(data, field="transcript")
    if not isinstance(value, dict) or set(value) != _KEYS or value["schema"] != SCHEMA:
        raise Malformed(f"is not a transcript of schema {SCHEMA}", field="transcript", offset=0)
    if cbor.encode(value) != data:
        raise Malformed("is not canonical", field="transcript")
    exchanges = _typed(value, "exchanges", list)
    return Transcript(
        service=_typed(value, "service", str),
        url=_typed(value, "url", str),
        nonce=_typed(value, "nonce", bytes),
        key=_optional(value, "key"),
        certificate=_optional(value, "certificate"),
        exporter=_optional(value, "exporter"),
        exchanges=tuple(_exchange(item) for item in exchanges),
    )


class Recorded(Web):
    """An origin that answers out of a transcript, each question as it was answered then."""

    def __init__(self, transcript: Transcript) -> None:
        try:
            super().__init__(transcript.url)
        except Misuse as error:
            raise Malformed(str(error), field="transcript url") from None
        if self.secure != (transcript.key is not None and transcript.certificate is not None):
            raise Malformed("does not fit its address", field="transcript key")
        if transcript.certificate is not None and transcript.key != _key_in(transcript.certificate):
            raise Malformed("is not the certificate's", field="transcript key")
        self._key, self._certificate = transcript.key, transcript.certificate
        self.exported = transcript.exporter
        self._left = list(transcript.exchanges)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Any = None,  # noqa: ARG002 - what was asked beside the path is not kept
        limit: int = MAX_ANSWER,
    ) -> Response:
        """The answer that is kept for this question; asked in another order than then, it is gone.

        Raises:
            Malformed: the transcript has no answer to it, or one longer than `limit`.
        """
        for place, one in enumerate(self._left):
            if (one.method, one.path, one.body) == (method, path, body):
                del self._left[place]
                if len(one.answer.body) > limit:
                    raise Malformed(f"is longer than {limit} bytes", field=f"transcript {path}")
                self.exchanges.append(one)
                return one.answer
        raise Malformed(f"has no answer to {method} {path[:200]}", field="transcript")

    def _greeted(self, asked: greeting.Asked) -> bytes:
        return self.request(greeting.METHOD, asked.path).body

    def close(self) -> None:
        """Nothing is open."""

    def _open(self) -> Any:
        return None


def _key_in(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a leaf: what a protocol binds may be the one, and what counts the other."""
    try:
        return (
            x509.load_der_x509_certificate(certificate)
            .public_key()
            .public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Malformed(f"cannot be read: {error}", field="transcript certificate") from None


def _exchange(item: Any) -> Exchange:
    kinds = (str, str, bytes, int, list, bytes)
    if not isinstance(item, list) or [type(one) for one in item] != list(kinds):
        raise Malformed("is no exchange", field="transcript exchanges")
    method, path, body, status, headers, answer = item
    for header in headers:
        if not isinstance(header, list) or [type(one) for one in header] != [str, str]:
            raise Malformed("has a header that is none", field="transcript exchanges")
    response = Response(
        status=status, reason="", headers=tuple((n, v) for n, v in headers), body=answer
    )
    return Exchange(method=method, path=path, body=body, answer=response)


def _typed(value: dict[Any, Any], key: str, kind: type) -> Any:
    if type(value[key]) is not kind:
        raise Malformed(f"is not {kind.__name__}", field=f"transcript {key}")
    return value[key]


def _optional(value: dict[Any, Any], key: str) -> bytes | None:
    item = value[key]
    if item is None or type(item) is bytes:
        return item
    raise Malformed("is neither bytes nor null", field=f"transcript {key}")
