"""Under which terms a log's releases count: whose log, which witnesses and owners, and how long before."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from troth.errors import Misuse
from troth.tlog.note import Kind, VerifierKey
from troth.tlog.statement import check_app, check_owners

MOST_WITNESSES: Final = 32
_LONGEST: Final = timedelta(days=36525)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What must be so of a release in a log.

    Attributes:
        app: whose releases count.
        log: the key of the log.
        witnesses: keys of witnesses, in one order.
        witness_threshold: how many of them must have seen it, more than half.
        owners: keys of the app's owners, in one order.
        owner_threshold: how many of them must sign.
        notice: for how long a release must have been known, in whole seconds.
        max_checkpoint_age: how old the newest look of the witnesses may be, in whole seconds.

    Raises:
        Misuse: a key twice in whatever role, a threshold that nobody or anybody could meet, one owner
            of several who could decide alone, or a time of another form.
    """

    app: str
    log: VerifierKey
    witnesses: tuple[VerifierKey, ...]
    witness_threshold: int
    owners: tuple[VerifierKey, ...]
    owner_threshold: int
    notice: timedelta
    max_checkpoint_age: timedelta

    def __post_init__(self) -> None:
        check_app(self.app)
        object.__setattr__(self, "witnesses", tuple(sorted(self.witnesses, key=str)))
        object.__setattr__(self, "owners", tuple(sorted(self.owners, key=str)))
        for role, kind, keys in (
            ("log", Kind.ED25519, (self.log,)),
            ("witnesses", Kind.COSIGNATURE, self.witnesses),
            ("owners", Kind.ED25519, self.owners),
        ):
            for key in keys:
                if key.kind is not kind:
                    raise Misuse(
                        f"{role}: {key.name} has a key of kind {int(key.kind)}, not {kind:d}"
                    )
        self._distinct()
        count = len(self.witnesses)
        if not 1 <= count <= MOST_WITNESSES:
            raise Misuse(f"witnesses: there are 1 to {MOST_WITNESSES} of them, not {count}")
        if type(self.witness_threshold) is not int or not 1 <= self.witness_threshold <= count:
            raise Misuse(
                f"witness_threshold: of {count} witnesses {self.witness_threshold!r} cannot be enough"
            )
        if 2 * self.witness_threshold <= count:
            raise Misuse(
                f"witness_threshold: two groups of {self.witness_threshold} of {count} witnesses, all honest, could"
                " each be shown a history of its own",
                fix=f"ask for more than half of them, {count // 2 + 1} at least",
            )
        check_owners(self.owners, self.owner_threshold, where="owners")
        if not _whole(self.notice) or self.notice < timedelta(0):
            raise Misuse("notice is whole seconds, none at least, at most a century")
        if not _whole(self.max_checkpoint_age) or self.max_checkpoint_age <= timedelta(0):
            raise Misuse("max_checkpoint_age is whole seconds, one at least, at most a century")

    def _distinct(self) -> None:
        """One key under two names would be two witnesses, or be its own log's."""
        seen: dict[bytes, str] = {}
        for key in (self.log, *self.witnesses, *self.owners):
            if key.public in seen:
                raise Misuse(
                    f"{seen[key.public]} and {key.name} have the same key",
                    fix="name each key of log, witnesses and owners once: nobody is two",
                )
            seen[key.public] = key.name


def _whole(span: timedelta) -> bool:
    return not span.microseconds and span <= _LONGEST
