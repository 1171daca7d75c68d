"""What came of a download, and what did not come and why."""

import enum
from dataclasses import dataclass
from pathlib import Path

from troth.errors import Unavailable


class Why(enum.Enum):
    """Why a package did not come."""

    GONE = "gone"
    """The mirror answers, and has no such package."""
    ALTERED = "altered"
    """The mirror gave other bytes than the lock says."""
    UNREACHABLE = "unreachable"
    """No answer: no network, no such mirror, or an error of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One package that did not come.

    Attributes:
        why: the kind of trouble.
        said: what the tool that fetches said.
    """

    why: Why
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A download's outcome; every package asked for is in one of both.

    Attributes:
        files: where each is that came, by SHA-256.
        troubles: why each did not that is missing, by SHA-256.
    """

    files: dict[str, Path]
    troubles: dict[str, Trouble]


class Gone(Unavailable):
    """Packages that a lock names and that no mirror has any more; a new lock is the way on.

    Attributes:
        names: their files.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(
            f"the mirror no longer has {', '.join(names)}",
            fix="lock again with `troth lock --update`, name a snapshot mirror with --mirror URL, or "
            "keep the packages that there are with the app: `troth lock --vendor DIR`",
        )
        self.names = names
