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
    """One pinned certificate.

    Attributes:
        platform: the platform it vouches for.
        certificate: DER.
        root_class: vendor, added or development.
        source: where it was had from, for reports.
        review_by: for built-in roots, the instant past which troth no longer vouches; else None.
    """

    platform: str
    certificate: bytes
    root_class: RootClass
    source: str
    review_by: datetime | None = None
