"""Which root does a chain end at, and does troth still vouch for it? Two questions, whatever the platform."""

from collections.abc import Sequence
from datetime import datetime

from troth.crypto import issued
from troth.model.check import Check, passed, undecided
from troth.model.codes.fresh import R103
from troth.model.roots import Root
from troth.wire.x509 import Certificate


def vouching(certificate: Certificate, roots: Sequence[Root]) -> Root | None:
    """The first of these roots that this certificate is; None where it is none of them."""
    digest, key = issued.sha256(certificate), issued.key_sha256(certificate)
    return next((r for r in roots if r.vouches_for(certificate=digest, key=key)), None)


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
