"""What an app's log says at an instant: its releases, what is frozen, and who can change it. Values.

Nothing here verifies: `troth.tlog.governance` makes these out of signed entries, `troth.policy` asks them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

WHATS: Final = ("code", "policy", "keys")
"""What owners can freeze, each by itself."""

Registers = Mapping[str, Mapping[str, frozenset[str]]]
"""Platform to register to the values in lower-case hex that stand for one and the same code."""


class Standing(StrEnum):
    """What a release is worth at an instant. Only `ACTIVE` is a yes."""

    ACTIVE = "active"
    WAITING = "waiting"
    UNSEEN = "not witnessed"
    UNSIGNED = "not signed by enough owners"
    FROZEN = "logged after the code was frozen"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """What there is to say of whatever stands in the log.

    Attributes:
        id: SHA-256 of what its owners signed, in hex.
        index: its place in the log, from 0: of the first copy that enough owners signed, else the first.
        version: the owners' word for it.
        commit: of its source, or empty.
        signed: how many owners signed.
        known_since: when enough witnesses had seen it; None where they have not.
        active_from: when the notice that the policy asks for is over, or None.
        standing: what it is worth.
        why: of a revocation, in its owners' words; or empty.
        revoked_at: the index of its revocation, or None.
    """

    id: str
    index: int
    version: str
    commit: str
    signed: int
    known_since: datetime | None
    active_from: datetime | None
    standing: Standing
    why: str = ""
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged(_Placed):
    """A release as it stands in the log.

    Attributes:
        measurements: what it measures to.
    """

    measurements: Registers


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed(_Placed):
    """Files that no platform measures, as they stand in the log. No measurement is accepted because of them.

    Attributes:
        files: name to SHA-256 in hex.
        sbom_sha256, provenance_sha256: of what says how they came to be.
    """

    files: Mapping[str, str]
    sbom_sha256: str
    provenance_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What is frozen (`code`, `policy` or `keys`), by which entry, and when that was known."""

    what: str
    index: int
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """The owners' next keys, by the entry that announces them; a policy follows by hand or not at all."""

    index: int
    keys: tuple[str, ...]
    threshold: int
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Governed:
    """The state of one app in one log, at one instant.

    Attributes:
        app: its name.
        log: the log's.
        size: entries that were looked at, all that the log has.
        witnesses, witness_threshold: how many could have seen it, and how many must.
        witnessed: by how many the newest checkpoint was seen.
        witnessed_at: when enough of them had it seen last, or None.
        owners, owner_threshold: how many keys, and how many must sign.
        notice: how long a release must have been known.
        releases: in the order of the log.
        frozen: what is frozen, each once.
        announced: further keys, in the order of the log.
        policies: digests of policies that the owners stand for, with index and version, in order.
        ignored: what owners wrote and does not count, in words; at most some.
        artifacts: files that no platform measures, in the order of the log.
        chosen: the release that counts for what runs, None where none does; set by who judges.
    """

    app: str
    log: str
    size: int
    witnesses: int
    witness_threshold: int
    witnessed: int
    witnessed_at: datetime | None
    owners: int
    owner_threshold: int
    notice: timedelta
    releases: tuple[Logged, ...]
    frozen: tuple[Frozen, ...]
    announced: tuple[Announced, ...]
    policies: tuple[tuple[int, str, str], ...]
    ignored: tuple[str, ...]
    artifacts: tuple[Filed, ...] = ()
    chosen: Logged | None = None

    @property
    def one_decides(self) -> bool:
        """Whether one signer alone can bring in a release."""
        return self.owner_threshold == 1
