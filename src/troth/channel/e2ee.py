"""ACI's encryption of fields, version 2: single texts inside OpenAI's JSON, sealed to an attested key.

Each field is hex(ephemeral key ‖ nonce ‖ ciphertext ‖ tag), made with ECDH on X25519 or secp256k1,
HKDF-SHA256 without salt, and AES-256-GCM. Associated data names the model, the field's path, the
request's nonce and time, so that no ciphertext can be moved.

What is left in the clear: everything but the fields of `request_fields` and `answer_fields`. That is the
model's name, parameters, tools and their calls, roles, the number and the length of messages.
"""

import json as library
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from troth.channel.keyset import SECP256K1, X25519
from troth.errors import Malformed, Misuse
from troth.wire import json
from troth.wire.text import from_hex

VERSION: Final = "2"
WINDOW: Final = 300  # seconds either way
NONCE: Final = 32
_GCM_NONCE: Final = 12
_TAG: Final = 16
_INFO: Final = {X25519: b"aci.e2ee.v2.x25519", SECP256K1: b"aci.e2ee.v2.secp256k1"}
_EPHEMERAL: Final = {X25519: 32, SECP256K1: 65}
_PLAIN: Final = re.compile(r"-?[0-9]+\.[0-9]+")
_ANSWER_NAMES: Final = ("content", "reasoning", "reasoning_content")

Private = x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every field of one request and its answer is bound to.

    Attributes:
        algo: the suite, by the keyset's entry.
        model: the request's, byte for byte.
        nonce: 32 bytes, new for each request.
        ts: Unix time, in seconds.
    """

    algo: str
    model: str
    nonce: bytes
    ts: int

    def request_aad(self, path: str) -> bytes:
        """Associated data of a request's field."""
        return self._aad("request", path, {})

    def answer_aad(self, path: str, answer_id: str) -> bytes:
        """Associated data of an answer's field; `answer_id` is the answer's `id`, or empty."""
        return self._aad("response", path, {"id": answer_id})

    def _aad(self, way: str, path: str, more: dict[str, str]) -> bytes:
        return json.canonical(
            {
                "purpose": f"aci.e2ee.{way}.v2",
                "algo": self.algo,
                "model": self.model,
                "field": path,
                "nonce": self.nonce.hex(),
                "ts": self.ts,
            }
            | more
        )


@dataclass(slots=True)
class Field:
    """A place in a JSON document that holds content.

    Attributes:
        path: names and indexes from the root, joined with dots.
        holder: the object or list that it lies in.
        name: its name or index there.
    """

    path: str
    holder: Any
    name: str | int

    @property
    def value(self) -> Any:
        """What lies there."""
        return self.holder[self.name]

    def put(self, value: Any) -> None:
        """Puts something else there."""
        self.holder[self.name] = value


def new_key(algo: str) -> Private:
    """A key pair of a suite.

    Raises:
        Misuse: another suite.
    """
    if algo == X25519:
        return x25519.X25519PrivateKey.generate()
    if algo == SECP256K1:
        return ec.generate_private_key(ec.SECP256K1())
    raise Misuse(f"{algo[:60]!r} is no suite of this version")


def public(key: Private) -> bytes:
    """The public key: 32 bytes, or 65 of an uncompressed point."""
    if isinstance(key, x25519.X25519PrivateKey):
        return key.public_key().public_bytes_raw()
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def read_public(text: str, algo: str) -> bytes:
    """A public key as documents and headers have it: hexadecimal, of a point with or without its 0x04.

    Raises:
        Malformed: another size, or no hexadecimal.
        Misuse: another suite.
    """
    if algo not in _EPHEMERAL:
        raise Misuse(f"{algo[:60]!r} is no suite of this version")
    data = from_hex(text, field="E2EE public key")
    if algo == SECP256K1 and len(data) == 64:
        data = b"\x04" + data
    if len(data) != _EPHEMERAL[algo]:
        raise Malformed(f"is {len(data)} bytes, not a key of {algo}", field="E2EE public key")
    return data


def seal(plain: bytes, *, to: bytes, algo: str, aad: bytes) -> str:
    """Encrypts one field.

    Args:
        plain: what the field holds.
        to: the recipient's public key.
        algo: the suite.
        aad: associated data, see `Context`.

    Raises:
        Malformed: the recipient's key is no point of the curve.
        Misuse: another suite.
    """
    ephemeral = new_key(algo)
    nonce = secrets.token_bytes(_GCM_NONCE)
    cipher = AESGCM(_derive(ephemeral, to, algo))
    return (public(ephemeral) + nonce + cipher.encrypt(nonce, plain, aad)).hex()


def unseal(field: Any, *, key: Private, algo: str, aad: bytes) -> bytes:
    """Decrypts one field.

    Raises:
        Malformed: it is not such a field, or was made for another key, place, request or model.
    """
    if not isinstance(field, str) or field != field.lower() or field.startswith("0x"):
        raise Malformed("is not encrypted", field="E2EE field")
    data = from_hex(field, field="E2EE field")
    size = _EPHEMERAL[algo]
    if len(data) < size + _GCM_NONCE + _TAG:
        raise Malformed("is too short to be encrypted", field="E2EE field")
    cipher = AESGCM(_derive(key, data[:size], algo))
    try:
        return cipher.decrypt(data[size : size + _GCM_NONCE], data[size + _GCM_NONCE :], aad)
    except InvalidTag:
        raise Malformed(
            "was not encrypted for this key, place and request", field="E2EE field"
        ) from None


def seal_request(body: dict[str, Any], *, to: bytes, context: Context) -> tuple[Any, bytes]:
    """Encrypts a request's content.

    Args:
        body: the request; not changed.
        to: the service's key.
        context: of this request.

    Returns:
        The request to send, and the body as the service restores it, which its receipt is over.

    Raises:
        Misuse: it holds nothing that can be encrypted, or a fraction that services write differently, so
            that no receipt would fit.
    """
    _check_numbers(body)
    clear, sealed = _copied(body), _copied(body)
    places = zip(list(request_fields(clear)), list(request_fields(sealed)), strict=True)
    count = 0
    for mine, theirs in places:
        if isinstance(mine.value, str) and _is_array(mine.value):
            # The service would restore such a text as structured content, which it is not.
            mine.put([{"type": "text", "text": mine.value}] if _is_message(mine) else mine.value)
        value = mine.value
        plain = value if isinstance(value, str) else compact(value).decode("utf-8")
        aad = context.request_aad(mine.path)
        theirs.put(seal(plain.encode("utf-8"), to=to, algo=context.algo, aad=aad))
        count += 1
    if not count:
        raise Misuse("a request without content has nothing to encrypt")
    return sealed, compact(clear)


def open_request(body: dict[str, Any], *, key: Private, context: Context) -> None:
    """Decrypts a request's content in place: the service's side.

    Raises:
        Malformed: a field is not encrypted for this key and request, or there is none.
    """
    places = list(request_fields(body))
    if not places:
        raise Malformed("has no encrypted field", field="request")
    for place in places:
        aad = context.request_aad(place.path)
        try:
            plain = unseal(place.value, key=key, algo=context.algo, aad=aad).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"is no text: {error}", field=place.path) from None
        restored = _is_message(place) and _is_array(plain)
        place.put(library.loads(plain) if restored else plain)


def seal_answer(body: dict[str, Any], *, to: bytes, context: Context) -> None:
    """Encrypts an answer's content in place, or that of one piece of a stream: the service's side."""
    for place in answer_fields(body):
        value = place.value
        text = isinstance(value, str) and place.name != "embedding"
        plain = value.encode("utf-8") if text else compact(value)
        aad = context.answer_aad(place.path, _id(body))
        place.put(seal(plain, to=to, algo=context.algo, aad=aad))


def open_answer(body: dict[str, Any], *, key: Private, context: Context) -> None:
    """Decrypts an answer's content in place, or that of one piece of a stream.

    Raises:
        Malformed: content came in the clear, or was made for another request or place.
    """
    for place in answer_fields(body):
        aad = context.answer_aad(place.path, _id(body))
        try:
            plain = unseal(place.value, key=key, algo=context.algo, aad=aad).decode("utf-8")
            embedding = place.name == "embedding"
            place.put(library.loads(plain) if embedding else plain)
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested too deep
            raise Malformed(f"is no text: {error}", field=place.path) from None


def request_fields(body: dict[str, Any]) -> Iterator[Field]:
    """The places of a request that are encrypted: contents of messages, a prompt, an input.

    A content is encrypted as a whole, of whatever parts it is made.
    """
    messages = body.get("messages")
    if isinstance(messages, list):
        for index, message in enumerate(messages):
            if isinstance(message, dict) and message.get("content") is not None:
                yield Field(f"messages.{index}.content", message, "content")
    for name in ("prompt", "input"):
        value = body.get(name)
        if isinstance(value, str):
            yield Field(name, body, name)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, str):
                    yield Field(f"{name}.{index}", value, index)


def answer_fields(body: dict[str, Any]) -> Iterator[Field]:
    """The places of an answer, or of one piece of a stream, that must be encrypted if they are there."""
    for index, choice in _entries(body, "choices"):
        for kind in ("message", "delta"):
            said = choice.get(kind)
            if not isinstance(said, dict):
                continue
            path = f"choices.{index}.{kind}"
            for name in _ANSWER_NAMES:
                # A piece may begin with an empty text, and there is nothing in it to hide.
                empty = (None, "") if kind == "delta" else (None,)
                if said.get(name) not in empty:
                    yield Field(f"{path}.{name}", said, name)
            audio = said.get("audio")
            if isinstance(audio, dict) and audio.get("data") is not None:
                yield Field(f"{path}.audio.data", audio, "data")
        if choice.get("text") is not None:
            yield Field(f"choices.{index}.text", choice, "text")
    for index, entry in _entries(body, "data"):
        if entry.get("embedding") is not None:
            yield Field(f"data.{index}.embedding", entry, "embedding")


def compact(value: Any) -> bytes:
    """A value as services write it again: no gaps, members in the order in which they came."""
    text = library.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def _entries(body: dict[str, Any], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = body.get(name)
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            index = entry.get("index", place)
            yield index if type(index) is int else place, entry


def _derive(mine: Private, theirs: bytes, algo: str) -> bytes:
    try:
        if isinstance(mine, x25519.X25519PrivateKey):
            shared = mine.exchange(x25519.X25519PublicKey.from_public_bytes(theirs))
        else:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), theirs)
            shared = mine.exchange(ec.ECDH(), point)
    except ValueError as error:
        raise Malformed(f"is no key to agree with: {error}", field="E2EE public key") from None
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_INFO[algo]).derive(shared)


def _is_message(place: Field) -> bool:
    return place.path.startswith("messages.")


def _is_array(text: str) -> bool:
    if not text.lstrip(" \t\r\n").startswith("["):
        return False
    try:
        return isinstance(library.loads(text), list)
    except (ValueError, RecursionError):
        return False


def _id(body: dict[str, Any]) -> str:
    value = body.get("id")
    return value if isinstance(value, str) else ""


def _check_numbers(value: Any) -> None:
    """Fractions have one form only where nobody writes an exponent."""
    if isinstance(value, float) and not _PLAIN.fullmatch(repr(value)):
        raise Misuse(
            f"{value!r} is written in several ways, and the receipt is over one of them",
            fix="use a number from 0.0001 up and below 10 000 000 000 000 000",
        )
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_numbers(item)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value
