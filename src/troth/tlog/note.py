"""Signed notes (c2sp.org/signed-note): text, a blank line, and a line for each signature.

    example.com/log
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

A key has a name, and an id of four bytes that is a digest of name, kind and key. Two kinds are understood: plain
Ed25519, with which logs and owners sign, and the timestamped cosignature of a witness (c2sp.org/tlog-cosignature).
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from troth.crypto.signature import ed25519_raw
from troth.errors import Malformed, Misuse
from troth.wire.text import from_base64

MOST_BYTES: Final = 64 * 1024
MOST_SIGNATURES: Final = 100

_NAME: Final = re.compile(r"[^\s+\x00-\x20\x7f\ud800-\udfff]{1,255}")
_KEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,100})")
_LINE: Final = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/=]{1,8000})")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_FIX: Final = (
    "it is a line like `name+1a2b3c4d+AbCd…`, from `troth tlog init` or the log's own page"
)


class Kind(IntEnum):
    """What a key signs, as the first byte of its encoding says."""

    ED25519 = 1
    COSIGNATURE = 4


KINDS: Final = frozenset(int(kind) for kind in Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with its name.

    Attributes:
        name: such as `example.com/log`.
        kind: what it signs.
        public: 32 bytes of Ed25519.
    """

    name: str
    kind: Kind
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that stand before each of its signatures."""
        return key_id(self.name, self.kind, self.public)

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One line below a note; nothing says yet that it verifies.

    Attributes:
        name: of the key, as the line has it.
        key_id: four bytes.
        data: the signature; of a cosignature eight bytes of time before it.
    """

    name: str
    key_id: bytes
    data: bytes

    def names(self, key: VerifierKey) -> bool:
        """Whether it says to be of this key."""
        return (self.name, self.key_id) == (key.name, key.id)

    def line(self) -> str:
        """As it stands in a note, with its line end."""
        return f"— {self.name} {base64.b64encode(self.key_id + self.data).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text with signatures.

    Attributes:
        text: what is signed, with the line end that it ends in.
        signatures: at least one, in their order.
    """

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The bytes that `parse` reads."""
        return f"{self.text}\n{''.join(s.line() for s in self.signatures)}".encode()

    def by(self, key: VerifierKey) -> tuple[Signature, ...]:
        """The signatures that name a key. *Does not verify* any of them."""
        named = (key.name, key.id)  # a digest, made once
        return tuple(s for s in self.signatures if (s.name, s.key_id) == named)


def key_id(name: str, kind: Kind, public: bytes) -> bytes:
    """The id of a key: the first four bytes of a SHA-256 over its name, kind and bytes."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def verifier_key(text: str, *, source: str = "key") -> VerifierKey:
    """Reads a public key in one line, `name+id+base64`.

    Args:
        text: the line.
        source: where it was said, for errors.

    Raises:
        Misuse: it is none, its id is not its own, or its kind is not understood.
    """
    match = _KEY.fullmatch(text.strip())
    if match is None or not is_name(match[1]):
        raise Misuse(f"{source}: {text[:60]!r} is no verifier key", fix=_FIX)
    try:
        encoded = from_base64(match[3].encode(), field=source)
    except Malformed:
        raise Misuse(f"{source}: {text[:60]!r} is no verifier key", fix=_FIX) from None
    if len(encoded) != 33 or encoded[0] not in KINDS:
        raise Misuse(
            f"{source}: a key of kind {encoded[0] if encoded else 'none'} and {len(encoded)} bytes"
            " is not understood; 1 (Ed25519) and 4 (cosignature) of 33 bytes are",
        )
    key = VerifierKey(name=match[1], kind=Kind(encoded[0]), public=encoded[1:])
    if key.id.hex() != match[2]:
        raise Misuse(
            f"{source}: the key's id is {key.id.hex()}, not {match[2]}",
            fix="copy the whole line again",
        )
    return key


def is_name(name: str) -> bool:
    """Whether a key or a log may be called so: no white space, no plus, not empty."""
    return _NAME.fullmatch(name) is not None


def parse(data: bytes, *, field: str = "note", limit: int = MOST_BYTES) -> Note:
    """Reads a note. Signatures are not verified.

    Raises:
        Malformed: it is no note, or has no signature, or the same line twice.
    """
    if len(data) > limit:
        raise Malformed(f"has {len(data)} bytes, at most {limit} are read", field=field)
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("is not UTF-8", field=field, offset=error.start) from None
    if _CONTROL.search(whole):
        raise Malformed("has a control character", field=field)
    text, separator, below = whole.rpartition("\n\n")
    if not separator or not text or not below.endswith("\n"):
        raise Malformed("is no signed note: text, a blank line, signatures", field=field)
    lines = below[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise Malformed(f"has more than {MOST_SIGNATURES} signatures", field=field)
    signatures = tuple(signature(line, field=field) for line in lines)
    if len(set(signatures)) != len(signatures):
        raise Malformed("has the same signature twice", field=field)
    return Note(text=text + "\n", signatures=signatures)


def signature(line: str, *, field: str = "signature") -> Signature:
    """Reads one line of signature, without its line end.

    Raises:
        Malformed: it is none.
    """
    match = _LINE.fullmatch(line)
    if match is None or not is_name(match[1]):
        raise Malformed(f"{line[:40]!r} is no line of signature", field=field)
    raw = from_base64(match[2].encode(), field=field)
    if len(raw) < 5:
        raise Malformed("a signature has fewer than five bytes", field=field)
    return Signature(name=match[1], key_id=raw[:4], data=raw[4:])


def wrong(text: str, signature: Signature, key: VerifierKey) -> str:
    """Checks one signature with the key that it names.

    Returns:
        An empty string if it verifies, else what is wrong, in words.
    """
    if not signature.names(key):
        return "the signature names another key"
    match key.kind:
        case Kind.ED25519:
            return ed25519_raw(key.public, signature.data, text.encode())
        case Kind.COSIGNATURE:
            if len(signature.data) != 72:
                return f"a cosignature is 72 bytes, not {len(signature.data)}"
            time = int.from_bytes(signature.data[:8], "big")
            return ed25519_raw(key.public, signature.data[8:], cosigned(text, time))


def cosigned(text: str, time: int) -> bytes:
    """What a witness signs: when it saw the note, and the note."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def time_of(signature: Signature) -> datetime | None:
    """When a cosignature says that it was made; None past the year 9999."""
    try:
        return datetime.fromtimestamp(int.from_bytes(signature.data[:8], "big"), UTC)
    except (OverflowError, OSError, ValueError):
        return None


def signers(note: Note, keys: Iterable[VerifierKey]) -> dict[VerifierKey, tuple[Signature, ...]]:
    """Which of these keys signed, with their signatures: a key counts if every line that names it verifies.

    A line that names none of the keys says nothing, as the format wants it; a line that names one and does
    not verify takes that key out, because somebody meant it to be believed. A witness may have signed more
    than once, at several times.
    """
    found: dict[VerifierKey, tuple[Signature, ...]] = {}
    for key in keys:
        mine = note.by(key)
        if mine and not any(wrong(note.text, s, key) for s in mine):
            found[key] = mine
    return found


def first_and_last(signatures: Iterable[Signature]) -> list[Signature]:
    """Of each witness's cosignatures of one note the earliest and the latest."""
    by_key: dict[tuple[str, bytes], list[Signature]] = {}
    for one in signatures:
        by_key.setdefault((one.name, one.key_id), []).append(one)
    found: list[Signature] = []
    for mine in by_key.values():
        mine.sort(key=lambda one: one.data)  # time comes first
        found += [mine[0]] if mine[0] == mine[-1] else [mine[0], mine[-1]]
    return found
