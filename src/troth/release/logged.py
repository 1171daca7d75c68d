"""Does a log say that a file is an app's: the entry that names it, and what that is worth at an instant.

Does not verify: that the file comes out of the source that the entry names. `troth rebuild` shows that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from troth.model.governed import Filed, Governed, Standing


class Outcome(StrEnum):
    """What came of it; only `LOGGED` is a yes."""

    LOGGED = "logged"
    REFUSED = "refused"
    UNDECIDED = "undecided"

    @property
    def exit_code(self) -> int:
        """0, 1 or 4."""
        return {Outcome.LOGGED: 0, Outcome.REFUSED: 1, Outcome.UNDECIDED: 4}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The answer.

    Attributes:
        outcome: which.
        entry: the entry that decides it, or that comes nearest; None where none names the file.
        why: in words where it is no yes.
    """

    outcome: Outcome
    entry: Filed | None
    why: str = ""


def judge(state: Governed, *, name: str, sha256: str, at: datetime, max_age: timedelta) -> Judged:
    """Looks for the file among what an app's owners wrote down.

    Args:
        state: of the app's log at the instant.
        name: of the file.
        sha256: of it, in hex.
        at: the instant.
        max_age: how long ago the witnesses may have seen the log.
    """
    same = [one for one in state.artifacts if one.files.get(name) == sha256]
    if not same:
        others = [one for one in state.artifacts if name in one.files]
        why = f"no entry of {state.app} in {state.log} names {name} with this digest"
        if others:
            why += f"; entry {others[-1].index} gives {name} another: {others[-1].files[name]}"
        elif any(sha256 in one.files.values() for one in state.artifacts):
            why += ", but one does so under another name"
        return Judged(outcome=Outcome.REFUSED, entry=None, why=why)
    # A revocation means the files, and not an entry: copies logged before it are meant as well, however called.
    gone = {
        one.revoked_at: one
        for one in state.artifacts
        if one.revoked_at is not None and sha256 in one.files.values()
    }
    last = max(gone, default=-1)
    active = [one for one in same if one.standing is Standing.ACTIVE and one.index > last]
    if active:
        return _late(state, active[-1], at, max_age)
    later = [one for one in same if one.index > last and one.standing is not Standing.REVOKED]
    entry = later[-1] if later else gone[last]
    unseen = entry.standing is Standing.UNSEEN
    return Judged(
        outcome=Outcome.UNDECIDED if unseen else Outcome.REFUSED,
        entry=entry,
        why=_words(state, entry),
    )


def _late(state: Governed, entry: Filed, at: datetime, max_age: timedelta) -> Judged:
    seen = state.witnessed_at
    if seen is None:
        why = (
            f"{state.witnessed} of the {state.witness_threshold} witnesses that are asked for have "
            "seen the newest checkpoint"
        )
        return Judged(outcome=Outcome.UNDECIDED, entry=entry, why=why)
    if at - seen > max_age:
        why = f"the witnesses saw the log last at {seen:%Y-%m-%d %H:%M}Z: it may be frozen, and a revocation hidden"
        return Judged(outcome=Outcome.UNDECIDED, entry=entry, why=why)
    return Judged(outcome=Outcome.LOGGED, entry=entry)


def _words(state: Governed, entry: Filed) -> str:
    match entry.standing:
        case Standing.REVOKED:
            return f"its owners revoked it: {entry.why}"
        case Standing.UNSIGNED:
            return f"{entry.signed} of the {state.owner_threshold} owners that it needs have signed"
        case Standing.WAITING:
            since = entry.active_from
            return f"it counts from {since:%Y-%m-%d %H:%M}Z on" if since else "it never counts"
        case Standing.UNSEEN:
            return "too few witnesses say since when it is known"
        case _:
            return str(entry.standing)
