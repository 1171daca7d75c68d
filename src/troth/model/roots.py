"""A root of trust and its class: a caller's root is never called a vendor's."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RootClass(StrEnum):
    """Where a root comes from."""

    VENDOR = "vendor"
    ADDED = "added"
    DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One pinned certificate, named by its digest: the evidence brings the certificate itself.

    Attributes:
        platform: the platform it vouches for.
        sha256: digest of the certificate's DER, in lower-case hex; this is what is pinned.
        root_class: vendor, added or development.
        source: where it was had from, for reports.
        not_after: end of the certificate's own validity, where it is known; for reports only.
        review_by: for built-in roots, the instant past which troth no longer vouches; else None.
    """

    platform: str
    sha256: str
    root_class: RootClass
    source: str
    not_after: datetime | None = None
    review_by: datetime | None = None
