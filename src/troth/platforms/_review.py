"""Does troth still vouch for the root that a chain ends at? One question, whatever the platform."""

from datetime import datetime

from troth.model.check import Check, passed, undecided
from troth.model.codes.fresh import R103
from troth.model.roots import Root


def review(root: Root | None, at: datetime) -> Check:
    """Undecided past the day by which a built-in root must have been looked at again.

    Args:
        root: what the chain ends at, or None where it ends at no root that counts.
        at: the instant of judgement.
    """
    if root is None:
        return undecided(R103, "root", why="the chain ends at no root you trust")
    if root.review_by is None:
        return passed(R103, "root", source=root.source, why="you passed this root yourself")
    day = root.review_by.date().isoformat()
    if at > root.review_by:
        return undecided(R103, "root", expected=f"reviewed after {day}", source=root.source)
    return passed(R103, "root", expected=f"review by {day}", source=root.source)
