"""A log for an app with three owners and three witnesses, made in memory; every part of it can lie."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from troth.crypto import merkle
from troth.model.collateral import Collateral, Item
from troth.model.collateral import Kind as Collected
from troth.tlog import entry, snapshot
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.note import Kind, Note, VerifierKey
from troth.tlog.signer import SigningKey
from troth.tlog.snapshot import Snapshot
from troth.tlog.statement import Artifacts, Freeze, Owners, PolicyChange, Release, Revoke, Statement
from troth.tlog.terms import Terms

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PCRS = {"pcr0": "01" * 48, "pcr1": "02" * 48, "pcr2": "03" * 48}
OTHER = {"pcr0": "11" * 48, "pcr1": "12" * 48, "pcr2": "13" * 48}


def key(name: str, kind: Kind = Kind.ED25519) -> SigningKey:
    """The same key for the same name, in every run."""
    seed = name.encode().ljust(32, b"\0")
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    return SigningKey(verifier=VerifierKey(name=name, kind=kind, public=public), private=private)


LOG = key("example.com/log")
ANNA, BERT, CLEO = (key(f"owner.example/{name}") for name in ("anna", "bert", "cleo"))
OWNERS = (ANNA, BERT, CLEO)
WITNESSES = tuple(key(f"witness.example/{name}", Kind.COSIGNATURE) for name in ("w1", "w2", "w3"))
STRANGER = key("stranger.example/key")


def terms(**changes: Any) -> Terms:
    return Terms(
        **{
            "app": "auction",
            "log": LOG.verifier,
            "witnesses": tuple(w.verifier for w in WITNESSES),
            "witness_threshold": 2,
            "owners": tuple(o.verifier for o in OWNERS),
            "owner_threshold": 2,
            "notice": 72 * HOUR,
            "max_checkpoint_age": 24 * HOUR,
        }
        | changes
    )


def release(measurements: Mapping[str, Mapping[str, str]] | None = None, **changes: Any) -> Release:
    named = {"nitro": PCRS} if measurements is None else measurements
    return Release(
        **{
            "app": "auction",
            "version": "1.0",
            "measurements": {
                p: {name: frozenset({value}) for name, value in registers.items()}
                for p, registers in named.items()
            },
            "source": None,
            "lock_sha256": "0a" * 32,
            "record_sha256": "0b" * 32,
            "image_sha256": "0c" * 32,
        }
        | changes
    )


def artifacts(**changes: Any) -> Artifacts:
    return Artifacts(
        **{
            "app": "auction",
            "version": "1.0",
            "files": {"auction-1.0-py3-none-any.whl": "1a" * 32},
            "source": None,
            "sbom_sha256": "1b" * 32,
            "provenance_sha256": "1c" * 32,
        }
        | changes
    )


def freeze(what: str = "code", app: str = "auction") -> Freeze:
    return Freeze(app=app, what=what)


def revoke(of: Statement, why: str = "a hole", app: str = "auction") -> Revoke:
    return Revoke(app=app, release=identity(of), why=why)


def announce(*keys: SigningKey, threshold: int = 2) -> Owners:
    return Owners(app="auction", keys=tuple(str(k.verifier) for k in keys), threshold=threshold)


def change(digest: str = "0d" * 32, version: str = "1") -> PolicyChange:
    return PolicyChange(app="auction", policy_sha256=digest, version=version)


def identity(says: Statement) -> str:
    import hashlib

    return hashlib.sha256(entry.text(says).encode()).hexdigest()


def signed(says: Statement | str, *by: SigningKey) -> bytes:
    text = says if isinstance(says, str) else entry.text(says)
    return Note(text=text, signatures=tuple(k.sign(text) for k in by or OWNERS[:2])).encode()


def checkpoint(
    entries: Sequence[bytes],
    times: Mapping[SigningKey, Iterable[datetime]] | None = None,
    *,
    by: SigningKey = LOG,
    size: int | None = None,
    root: bytes | None = None,
    origin: str | None = None,
) -> bytes:
    text = Checkpoint(
        origin=origin or by.verifier.name,
        size=len(entries) if size is None else size,
        root=merkle.root(map(merkle.leaf, entries)) if root is None else root,
    ).text()
    lines = [by.sign(text)]
    for witness, seen in (times or {}).items():
        lines += [witness.sign(text, time=int(at.timestamp())) for at in seen]
    return Note(text=text, signatures=tuple(lines)).encode()


@dataclass
class World:
    """Entries, and after which of them who saw the log when."""

    entries: list[bytes] = field(default_factory=list)
    checkpoints: list[bytes] = field(default_factory=list)

    def add(self, *entries: bytes) -> "World":
        self.entries += entries
        return self

    def seen(self, *times: datetime | None, of: Sequence[SigningKey] = WITNESSES) -> "World":
        """Publishes; each witness in turn saw it then, or never where None stands."""
        given = times * len(of) if len(times) == 1 else times
        pairs = zip(of, given, strict=False)
        stated = {witness: [at] for witness, at in pairs if at is not None}
        self.checkpoints.append(checkpoint(self.entries, stated))
        return self

    def pack(self, **changes: Any) -> bytes:
        *older, newest = self.checkpoints
        parts = {"checkpoint": newest, "older": tuple(older), "entries": tuple(self.entries)}
        return snapshot.pack(Snapshot(**(parts | changes)))


def active(*more: bytes, says: Release | None = None) -> World:
    """A release that has been known for ten days, and a log that was seen an hour ago."""
    world = World().add(signed(says or release())).seen(NOW - 10 * DAY)
    world.add(signed(release(version="other app", app="shop"), STRANGER), *more)
    return world.seen(NOW - HOUR)


def collateral(*logs: bytes) -> Collateral:
    return Collateral(items=tuple(Item(kind=Collected.RELEASE_LOG, data=log) for log in logs))
