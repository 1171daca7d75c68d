"""Which security versions are good enough? A dated table, for AMD signs no list of levels.

A row follows a bulletin and cites it. What has no row, and every row past its review date, gives no
answer: the caller's policy then names a minimum or the question stays open.

Does not verify: anything about a report. Policies compare what they require with a report's claims.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from troth.model.tcb import Short
from troth.platforms.snp.product import Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The minimum of one product.

    Attributes:
        product: AMD's name of it, such as `Milan`.
        minimum: name of a part (`boot_loader`, `tee`, `snp`, `microcode`, `fmc`) to the lowest version
            that is good enough. Parts that are not named have no minimum in this row.
        bulletin: AMD's bulletin that the row follows, and what it is about.
        source: where the numbers are from.
        written: the day on which the row was written.
        review_by: the instant past which the row counts no more.
    """

    product: Product
    minimum: Mapping[str, int]
    bulletin: str
    source: str
    written: datetime
    review_by: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "minimum", MappingProxyType(dict(self.minimum)))


_WRITTEN: Final = datetime(2026, 11, 23, tzinfo=UTC)
_REVIEW: Final = datetime(2027, 5, 31, tzinfo=UTC)
_MICROCODE_SIGNATURES: Final = (
    "AMD-SB-3019 (CVE-2024-56161: microcode that AMD did not sign could be loaded)"
)
_CCF: Final = "the floors that Microsoft's CCF enforces for AMD-SB-3019 (microsoft/CCF issue 6812)"

# No row for Turin, and none for AMD-SB-3015 (BadRAM) or AMD-SB-3020 (RMPocalypse): we know of no
# number that we could cite.
MINIMUMS: Final[tuple[Row, ...]] = (
    Row(
        product=Product.MILAN,
        minimum={"snp": 0x18},
        bulletin=_MICROCODE_SIGNATURES,
        source=_CCF,
        written=_WRITTEN,
        review_by=_REVIEW,
    ),
    Row(
        product=Product.GENOA,
        minimum={"snp": 0x17},
        bulletin=_MICROCODE_SIGNATURES,
        source=_CCF,
        written=_WRITTEN,
        review_by=_REVIEW,
    ),
)


def minimum_for(product: str, at: datetime) -> Row | None:
    """The row that counts for a product at an instant; None where there is none to rely on.

    Args:
        product: AMD's name of it.
        at: the instant of judgement, aware.
    """
    return next((row for row in MINIMUMS if row.product == product and at <= row.review_by), None)


def below(parts: Mapping[str, int], minimum: Mapping[str, int]) -> tuple[Short, ...]:
    """What falls short of a minimum. A part that a minimum names and the product lacks has 0."""
    return tuple(
        Short(component=name, has=parts.get(name, 0), needs=needed)
        for name, needed in minimum.items()
        if parts.get(name, 0) < needed
    )
