"""What an app's owners can say in a log: the kinds of statements, as values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from troth.errors import Misuse
from troth.model.governed import Registers
from troth.tlog import note as notes
from troth.tlog.note import Kind, VerifierKey

MOST_OWNERS: Final = 32
APP: Final = re.compile(r"[a-z0-9][a-z0-9._/-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the source of a release is: a git address, the whole commit, the app's folder in it."""

    git: str
    commit: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version of an app.

    Attributes:
        app: its name.
        version: for people.
        measurements: what it measures to.
        source: where it is made from, None where that is not said.
        lock_sha256, record_sha256, image_sha256: digests of its lock, build record and image, in hex.
    """

    app: str
    version: str
    measurements: Registers
    source: Source | None
    lock_sha256: str
    record_sha256: str
    image_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifacts:
    """Files that no platform measures, such as a wheel: no measurement counts because of it.

    Attributes:
        app: its name.
        version: for people.
        files: name to SHA-256 in hex.
        source: where they are made from, None where that is not said.
        sbom_sha256, provenance_sha256: digests of their bill of materials and of the signed statement of how
            they came to be, in hex.
    """

    app: str
    version: str
    files: Mapping[str, str]
    source: Source | None
    sbom_sha256: str
    provenance_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """A policy that the owners stand for, by its digest."""

    app: str
    policy_sha256: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """From here on no further entry of a sort counts, for ever: `code`, `policy` or `keys`."""

    app: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """A release that counts no longer, by the SHA-256 of its text (`Entry.id`), and why."""

    app: str
    release: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The owners' next keys, as lines of verifier keys, and how many of them must sign."""

    app: str
    keys: tuple[str, ...]
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRelease:
    """A key service gave a key to code: which key (scope, generation), and what the code measured to."""

    app: str
    scope: str
    generation: int
    measurements: Registers
    at: datetime


Statement = Release | Artifacts | PolicyChange | Freeze | Revoke | Owners | KeyRelease


def check_app(name: object) -> None:
    """That an app may be called so.

    Raises:
        Misuse: it may not.
    """
    if not isinstance(name, str) or not APP.fullmatch(name):
        raise Misuse(
            f"{str(name)[:80]!r} is no name of an app in a log",
            fix="lower-case letters, digits, and . _ / - between them",
        )


def owner_key(line: str, *, source: str) -> VerifierKey:
    """A key that signs entries.

    Raises:
        Misuse: it is none, or a witness's.
    """
    key = notes.verifier_key(line, source=source)
    if key.kind is not Kind.ED25519:
        raise Misuse(f"{source}: {key.name} is a witness's key, and signs no entry")
    if str(key) != line.strip():
        raise Misuse(f"{source}: the key of {key.name} is not in its one form")
    return key


def check_owners(keys: Sequence[VerifierKey], threshold: object, *, where: str) -> None:
    """That a set of owners can be one: nobody in it twice, and never one of several alone.

    Raises:
        Misuse: it cannot.
    """
    count = len(keys)
    if not 1 <= count <= MOST_OWNERS or len({key.public for key in keys}) != count:
        raise Misuse(f"{where}: owners have 1 to {MOST_OWNERS} keys, each another one")
    if type(threshold) is not int or not 1 <= threshold <= count:
        raise Misuse(f"{where}: of {count} owners {threshold!r} cannot have to sign")
    if threshold == 1 and count > 1:
        raise Misuse(
            f"{where}: one of {count} owners alone could bring in a release",
            fix="let two or more sign, or name the one owner alone who decides",
        )
