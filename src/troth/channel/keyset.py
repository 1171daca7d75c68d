"""ACI's keyset: the keys that are a workload's identity, and the one statement by which evidence names them.

Constructions of `aci/1`, sections 3.1, 3.2 and appendix A. Whatever encoding a service chose, what is
hashed is the canonical form (RFC 8785) of what was read.

Does not verify that any evidence binds the keyset, or that it has not ended.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.wire import json

API: Final = "aci/1"
RECEIPT_ALGORITHM: Final = "ed25519"
X25519: Final = "x25519-aes-256-gcm-hkdf-sha256"
SECP256K1: Final = "secp256k1-aes-256-gcm-hkdf-sha256"
_PREFIX: Final = "sha256:"
_MAX_KEYS: Final = 64
_MAX_TEXT: Final = 512
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MEMBERS: Final = frozenset(
    {"subject", "not_after", "receipt_signing_keys", "e2ee_public_keys", "tls_public_keys"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An entry of the keyset.

    Attributes:
        key_id: by which receipts name it.
        algo: what it is good for; others than those known here are carried and never chosen.
        public_key: as the keyset has it, in hexadecimal where the algorithm is one of ours.
    """

    key_id: str
    algo: str
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """The keys of one workload. Read, not believed.

    Attributes:
        subject: a name that means something under a policy only, or None.
        not_after: Unix time from which nothing of it counts.
        receipts, e2ee: keys by role.
        tls: (SHA-256 of the SubjectPublicKeyInfo in hexadecimal, the one host it is for or empty).
        digest: `sha256:` and the digest of the canonical form.
    """

    subject: str | None
    not_after: int
    receipts: tuple[Key, ...]
    e2ee: tuple[Key, ...]
    tls: tuple[tuple[str, str], ...]
    digest: str

    def receipt_key(self, key_id: str) -> bytes | None:
        """The Ed25519 key (32 bytes) that signs receipts under this name, or None."""
        for key in self.receipts:
            if key.key_id == key_id and key.algo == RECEIPT_ALGORITHM:
                return bytes.fromhex(key.public_key)
        return None

    def e2ee_key(self) -> Key | None:
        """The key to encrypt to: X25519 if there is one, else secp256k1, else None."""
        for algo in (X25519, SECP256K1):
            for key in self.e2ee:
                if key.algo == algo:
                    return key
        return None

    def has_tls(self, spki: bytes, host: str) -> bool:
        """Whether this SubjectPublicKeyInfo (DER) is listed for a host, or for all."""
        wanted = hashlib.sha256(spki).hexdigest()
        return any(
            digest == wanted and domain in ("", host.lower().rstrip("."))
            for digest, domain in self.tls
        )


def read(value: Any) -> Keyset:
    """Reads a keyset out of a report that was parsed.

    Raises:
        Malformed: a member is missing, unknown or of another form, or one key has two roles.
    """
    top = members(value, "workload_keyset", _MEMBERS)
    receipts = tuple(_key(entry) for entry in _list(top, "receipt_signing_keys"))
    e2ee = tuple(_key(entry) for entry in _list(top, "e2ee_public_keys"))
    tls = tuple(_tls(entry) for entry in _list(top, "tls_public_keys"))
    for key in receipts:
        if key.algo == RECEIPT_ALGORITHM and not _DIGEST.fullmatch(key.public_key):
            raise Malformed("is not 32 bytes in hexadecimal", field=f"key {key.key_id!r:.80}")
    _once([key.key_id for key in receipts], "receipt_signing_keys")
    _once([key.public_key.lower() for key in (*receipts, *e2ee)], "workload_keyset")
    subject = top["subject"]
    return Keyset(
        subject=None if subject is None else text(subject, "subject"),
        not_after=whole(top["not_after"], "not_after"),
        receipts=receipts,
        e2ee=e2ee,
        tls=tls,
        digest=sha256(canonical(value, "workload_keyset")),
    )


def statement(digest: str, nonce: bytes | None) -> bytes:
    """What evidence is over: the keyset's digest and the caller's nonce (section 3.2).

    Args:
        digest: of the keyset, with its prefix.
        nonce: 32 bytes, or None for the form that proves no freshness.
    """
    challenge = "null" if nonce is None else f'"{nonce.hex()}"'
    said = f'{{"keyset_digest":"{digest}","nonce":{challenge},"purpose":"aci.report_data.v1"}}'
    return said.encode("ascii")


def report_data(digest: str, nonce: bytes | None) -> bytes:
    """The 64 bytes that evidence must carry: SHA-256 of the statement, and 32 zero bytes."""
    return hashlib.sha256(statement(digest, nonce)).digest() + bytes(32)


def canonical(value: Any, field: str) -> bytes:
    """The canonical form of what somebody else wrote.

    Raises:
        Malformed: it has none: half a surrogate pair, or nested too deep.
    """
    try:
        return json.canonical(value)
    except Misuse as error:
        raise Malformed(f"has no canonical form: {error}", field=field) from None


def sha256(data: bytes) -> str:
    """A digest as ACI writes it."""
    return _PREFIX + hashlib.sha256(data).hexdigest()


def digest_field(value: Any, field: str) -> str:
    """A digest out of a document, checked for its form.

    Raises:
        Malformed: anything but `sha256:` and 64 lower-case digits.
    """
    if not isinstance(value, str) or not value.startswith(_PREFIX):
        raise Malformed("is not sha256: and a digest", field=field)
    if not _DIGEST.fullmatch(value.removeprefix(_PREFIX)):
        raise Malformed("is not sha256: and 64 lower-case digits", field=field)
    return value


def is_id(value: Any) -> bool:
    """Whether this is a content address: 64 lower-case digits, bare."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def text(value: Any, field: str, limit: int = _MAX_TEXT) -> str:
    """A short text.

    Raises:
        Malformed: another type, or longer than `limit` characters.
    """
    if not isinstance(value, str) or len(value) > limit:
        raise Malformed(f"is not a text of at most {limit} characters", field=field)
    return value


def whole(value: Any, field: str) -> int:
    """A count of seconds or the like.

    Raises:
        Malformed: another type, or below zero.
    """
    if type(value) is not int or value < 0:
        raise Malformed("is not a whole number from zero up", field=field)
    return value


def members(value: Any, field: str, wanted: frozenset[str]) -> Mapping[str, Any]:
    """An object with exactly these members.

    Raises:
        Malformed: another type, or one too few or too many.
    """
    if not isinstance(value, dict):
        raise Malformed("is not an object", field=field)
    if value.keys() != wanted:
        odd = sorted(value.keys() ^ wanted)
        raise Malformed(f"lacks, or has beside what is known, {str(odd)[:120]}", field=field)
    return value


def _list(top: Mapping[str, Any], name: str) -> list[Any]:
    value = top[name]
    if not isinstance(value, list) or len(value) > _MAX_KEYS:
        raise Malformed(f"is not a list of at most {_MAX_KEYS}", field=name)
    return value


def _key(value: Any) -> Key:
    entry = members(value, "key", frozenset({"key_id", "algo", "public_key"}))
    return Key(
        key_id=text(entry["key_id"], "key_id"),
        algo=text(entry["algo"], "algo"),
        public_key=text(entry["public_key"], "public_key"),
    )


def _tls(value: Any) -> tuple[str, str]:
    names = {"spki_sha256", "domain"} if isinstance(value, dict) and "domain" in value else None
    entry = members(value, "tls key", frozenset(names or {"spki_sha256"}))
    if not is_id(entry["spki_sha256"]):
        raise Malformed("is not 64 lower-case digits", field="spki_sha256")
    domain = entry.get("domain")
    return entry["spki_sha256"], "" if domain is None else text(domain, "domain").lower()


def _once(names: list[str], field: str) -> None:
    if len(set(names)) != len(names):
        raise Malformed("names one key twice, and one key has one role", field=field)
