"""What an app's owners write into a log: an entry is a signed note of one line of JSON.

    troth-log-entry/1
    {"app":"auction","kind":"freeze","what":"code"}

    — owner.example/anna …

Its form is checked here, and nothing else: who signed it, and whether that counts, `troth.tlog.governance` tells.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.model.governed import WHATS, Registers
from troth.tlog import note as notes
from troth.tlog.note import Note
from troth.tlog.statement import (
    APP,
    Artifacts,
    Freeze,
    KeyRelease,
    Owners,
    PolicyChange,
    Release,
    Revoke,
    Source,
    Statement,
    check_owners,
    owner_key,
)
from troth.tlog.tiles import MOST_ENTRY
from troth.wire import json

HEADER: Final = "troth-log-entry/1\n"
BEGIN: Final = b"troth-log-entry/"
"""So begin entries of whatever version: another one may count what this one does not understand."""

_WORD: Final = re.compile(r"[a-z0-9_]{1,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_VALUE: Final = re.compile(r"(?:[0-9a-f]{2}){16,64}")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_MOST_FILES: Final = 100
_MOST_VALUES: Final = 64
_MOST_TEXT: Final = 1000
_MOST_NUMBER: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A statement with its signatures, none of which is verified yet.

    Attributes:
        says: the statement.
        note: what was signed, and the signatures.
    """

    says: Statement
    note: Note

    @property
    def id(self) -> str:
        """SHA-256 of what was signed, in hex: the same for every copy, whoever else signs it."""
        return hashlib.sha256(self.note.text.encode()).hexdigest()


class NoEntry(Malformed):
    """Bytes that are no entry of troth's at all; a log may hold others."""


def text(says: Statement) -> str:
    """What owners sign.

    Raises:
        Misuse: it says what no entry may.
    """
    made = f"{HEADER}{json.canonical(_plain(says)).decode()}\n"
    try:
        if statement(made) == says:
            return made
    except Malformed as error:
        raise Misuse(f"no entry can say this: {error}") from None
    raise Misuse("no entry can say this: it reads back as something else")


def parse(data: bytes, *, field: str = "entry") -> Entry:
    """Reads an entry of a log, or a file of one.

    Raises:
        NoEntry: it is no note that begins as ours do.
        Malformed: it does, and says what is not understood.
    """
    if not data.startswith(HEADER.encode()):
        raise NoEntry("is no entry of troth's", field=field)
    note = notes.parse(data, field=field, limit=MOST_ENTRY)
    return Entry(says=statement(note.text, field=field), note=note)


def draft(data: bytes, *, field: str = "entry") -> tuple[str, Note | None]:
    """Reads a file of an entry that may have no signature yet: its text, and the note if it has some.

    Raises:
        Malformed: it is none, or says what is not understood.
    """
    if data.count(b"\n") == 2:
        try:
            found = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("is not UTF-8", field=field, offset=error.start) from None
        statement(found, field=field)
        return found, None
    note = parse(data, field=field).note
    return note.text, note


def statement(text: str, *, field: str = "entry") -> Statement:
    """Reads what owners sign. An unknown kind or key is refused: half of a statement is another one.

    Raises:
        Malformed: it is not in its one form.
    """
    head, _, line = text.partition("\n")
    if head + "\n" != HEADER or not line.endswith("\n") or "\n" in line[:-1]:
        raise Malformed("is not a first line and one line of JSON", field=field)
    value = json.parse(line, field=field, limit=MOST_ENTRY)
    if not isinstance(value, dict) or not _is_canonical(value, line):
        raise Malformed("its JSON is not in its one form", field=field)
    kind = value.get("kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise Malformed(f"is of the unknown kind {str(kind)[:40]!r}", field=field)
    keys, make = reader
    if set(value) != {"kind", "app", *keys}:
        odd = sorted(set(value) ^ {"kind", "app", *keys})
        raise Malformed(f"has missing or unknown keys: {', '.join(odd)[:200]}", field=field)
    return make(value, _matching(value, "app", APP, field), field)


def _is_canonical(value: Any, line: str) -> bool:
    try:
        return json.canonical(value).decode() + "\n" == line
    except Misuse:  # half a surrogate pair, or nested too deep
        return False


def _plain(says: Statement) -> dict[str, Any]:
    match says:
        case Release():
            return {
                "kind": "release",
                "app": says.app,
                "version": says.version,
                "measurements": _sorted(says.measurements),
                "source": _plain_source(says.source),
                "lock_sha256": says.lock_sha256,
                "record_sha256": says.record_sha256,
                "image_sha256": says.image_sha256,
            }
        case Artifacts():
            return {
                "kind": "artifacts",
                "app": says.app,
                "version": says.version,
                "files": dict(says.files),
                "source": _plain_source(says.source),
                "sbom_sha256": says.sbom_sha256,
                "provenance_sha256": says.provenance_sha256,
            }
        case PolicyChange():
            digest, version = says.policy_sha256, says.version
            return {"kind": "policy", "app": says.app, "policy_sha256": digest, "version": version}
        case Freeze():
            return {"kind": "freeze", "app": says.app, "what": says.what}
        case Revoke():
            return {"kind": "revoke", "app": says.app, "release": says.release, "why": says.why}
        case Owners():
            keys, threshold = list(says.keys), says.threshold
            return {"kind": "owners", "app": says.app, "keys": keys, "threshold": threshold}
        case KeyRelease():
            return {
                "kind": "key-release",
                "app": says.app,
                "scope": says.scope,
                "generation": says.generation,
                "measurements": _sorted(says.measurements),
                "at": _stamp(says.at),
            }


def _plain_source(source: Source | None) -> dict[str, str] | None:
    if source is None:
        return None
    return {"git": source.git, "commit": source.commit, "path": source.path}


def _sorted(registers: Registers) -> dict[str, Any]:
    return {p: {name: sorted(v) for name, v in named.items()} for p, named in registers.items()}


def _release(value: dict[str, Any], app: str, field: str) -> Release:
    return Release(
        app=app,
        version=_words(value, "version", field, most=128),
        measurements=_measurements(value["measurements"], field),
        source=_source(value["source"], field),
        lock_sha256=_matching(value, "lock_sha256", _SHA256, field),
        record_sha256=_matching(value, "record_sha256", _SHA256, field),
        image_sha256=_matching(value, "image_sha256", _SHA256, field),
    )


def _artifacts(value: dict[str, Any], app: str, field: str) -> Artifacts:
    return Artifacts(
        app=app,
        version=_words(value, "version", field, most=128),
        files=_files(value["files"], field),
        source=_source(value["source"], field),
        sbom_sha256=_matching(value, "sbom_sha256", _SHA256, field),
        provenance_sha256=_matching(value, "provenance_sha256", _SHA256, field),
    )


def _policy(value: dict[str, Any], app: str, field: str) -> PolicyChange:
    digest = _matching(value, "policy_sha256", _SHA256, field)
    return PolicyChange(
        app=app, policy_sha256=digest, version=_words(value, "version", field, most=128)
    )


def _freeze(value: dict[str, Any], app: str, field: str) -> Freeze:
    if value["what"] not in WHATS:
        raise Malformed(f"what is frozen is one of {', '.join(WHATS)}", field=field)
    return Freeze(app=app, what=value["what"])


def _revoke(value: dict[str, Any], app: str, field: str) -> Revoke:
    release = _matching(value, "release", _SHA256, field)
    return Revoke(app=app, release=release, why=_words(value, "why", field))


def _owners(value: dict[str, Any], app: str, field: str) -> Owners:
    keys, threshold = value["keys"], value["threshold"]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Malformed("keys should be a list of verifier keys", field=field)
    try:
        check_owners([owner_key(key, source="keys") for key in keys], threshold, where="keys")
    except Misuse as error:
        raise Malformed(str(error), field=field) from None
    return Owners(app=app, keys=tuple(keys), threshold=threshold)


def _key_release(value: dict[str, Any], app: str, field: str) -> KeyRelease:
    generation = value["generation"]
    if type(generation) is not int or not 0 <= generation < _MOST_NUMBER:
        raise Malformed("generation should be a whole number", field=field)
    return KeyRelease(
        app=app,
        scope=_words(value, "scope", field, most=128),
        generation=generation,
        measurements=_measurements(value["measurements"], field),
        at=_instant(value["at"], field),
    )


_READERS: Final[
    Mapping[str, tuple[frozenset[str], Callable[[dict[str, Any], str, str], Statement]]]
] = MappingProxyType(
    {
        "release": (
            frozenset({"version", "measurements", "source"})
            | {"lock_sha256", "record_sha256", "image_sha256"},
            _release,
        ),
        "artifacts": (
            frozenset({"version", "files", "source", "sbom_sha256", "provenance_sha256"}),
            _artifacts,
        ),
        "policy": (frozenset({"policy_sha256", "version"}), _policy),
        "freeze": (frozenset({"what"}), _freeze),
        "revoke": (frozenset({"release", "why"}), _revoke),
        "owners": (frozenset({"keys", "threshold"}), _owners),
        "key-release": (frozenset({"scope", "generation", "measurements", "at"}), _key_release),
    }
)


def _source(value: Any, field: str) -> Source | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"git", "commit", "path"}:
        raise Malformed("source should be git, commit and path, or null", field=field)
    return Source(
        git=_words(value, "git", field),
        commit=_matching(value, "commit", _COMMIT, field),
        path=_words(value, "path", field),
    )


def _files(value: Any, field: str) -> Mapping[str, str]:
    if not isinstance(value, dict) or not 1 <= len(value) <= _MOST_FILES:
        raise Malformed(f"files should be 1 to {_MOST_FILES} names with digests", field=field)
    for name in value:
        if not _FILE.fullmatch(name):
            raise Malformed(f"{name[:80]!r} is no plain name of a file", field=field)
        _matching(value, name, _SHA256, field)
    return MappingProxyType(dict(value))


def _measurements(value: Any, field: str) -> Registers:
    if not isinstance(value, dict) or not value:
        raise Malformed("measurements should be platforms with registers", field=field)
    return MappingProxyType({name: _registers(name, of, field) for name, of in value.items()})


def _registers(platform: str, value: Any, field: str) -> Mapping[str, frozenset[str]]:
    if not _WORD.fullmatch(platform) or not isinstance(value, dict) or not value:
        raise Malformed(f"{platform[:64]!r} is no platform with registers", field=field)
    found = {}
    for name, values in value.items():
        plain = (
            isinstance(values, list)
            and 1 <= len(values) <= _MOST_VALUES
            and all(isinstance(v, str) and _VALUE.fullmatch(v) for v in values)
        )
        if not _WORD.fullmatch(name) or not plain or values != sorted(set(values)):
            raise Malformed(
                f"{platform}.{name[:64]} should be 1 to {_MOST_VALUES} values in hex, sorted",
                field=field,
            )
        found[name] = frozenset(values)
    return MappingProxyType(found)


def _matching(value: dict[str, Any], key: str, pattern: re.Pattern[str], field: str) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not pattern.fullmatch(found):
        raise Malformed(f"{key} is {str(found)[:80]!r}, which it can't be", field=field)
    return found


def _words(value: dict[str, Any], key: str, field: str, *, most: int = _MOST_TEXT) -> str:
    """Text that looks the same to everybody who is asked to sign it."""
    found = value[key]
    if not isinstance(found, str) or not 1 <= len(found) <= most or not found.isprintable():
        raise Malformed(f"{key} should be 1 to {most} printable characters", field=field)
    return found


def _instant(value: object, field: str) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is not UTC or _stamp(at) != value:
        raise Malformed("at should be an instant like 2026-11-26T13:20:00Z", field=field)
    return at


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
