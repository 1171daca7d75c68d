"""What is said of a service, by whom, and whether it holds: so that proof and promise look different.

Names and words are those of ACI (Attested Confidential Inference, `aci/1`), section on claims.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from troth.model.claims import Source

VOCABULARY: Final = (
    "tee_attested",
    "gpu_attested",
    "tcb_up_to_date",
    "os_known_good",
    "serving_software_known_good",
    "model_weights_provenance",
)


class Status(StrEnum):
    """Whether a statement holds. What nobody looked at is unknown."""

    ASSERTED = "asserted"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement.

    Attributes:
        name: of `VOCABULARY`, or a word of troth's own such as `key_bound`.
        status: whether it holds.
        source: who says so; None where nobody does (unknown).
        why: one clause.
    """

    name: str
    status: Status
    source: Source | None
    why: str
