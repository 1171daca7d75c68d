"""TCB: what a vendor says of the security version that a platform runs at, in the vendor's own words."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """One component that is below a level.

    Attributes:
        component: its name, such as `sgx component 2 (BIOS)`, `PCESVN`, `TDX module` or `microcode`.
        has: the security version that the platform runs at.
        needs: the one that the level asks for.
    """

    component: str
    has: int
    needs: int

    def __str__(self) -> str:
        return f"{self.component} is {self.has}, needs {self.needs}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The level that one part of a platform is at.

    Attributes:
        part: `platform`, `QE` (the quoting enclave) or `TDX module`, and `current …` for TDs that
            were launched under an older module.
        status: the vendor's word for the level, such as `OutOfDate`; for a part that no level fits,
            `TcbNotSupported`.
        date: the level's date, or None where no level fits.
        advisories: the advisories that are open at this level.
        short: what keeps the part from the level in `better`; empty at the best level.
        better: the nearest level with a better status, as text (status and date), or empty.
        fix: what brings it there, or empty.
    """

    part: str
    status: str
    date: datetime | None
    advisories: tuple[str, ...] = ()
    short: tuple[Short, ...] = ()
    better: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcb:
    """What came of looking a platform up in the vendor's levels.

    Attributes:
        status: the converged status, in the vendor's word.
        date: the oldest of the matched levels' dates; what happened after it is not mitigated.
        advisories: all advisories of all parts, each once.
        evaluation_number: the lower of the evaluation data numbers of the documents that were used;
            None where the vendor has none (AMD).
        findings: the parts.
    """

    status: str
    date: datetime | None
    advisories: tuple[str, ...]
    evaluation_number: int | None
    findings: tuple[Finding, ...]
