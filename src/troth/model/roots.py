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
    """One pinned root, named by its digest: the evidence brings the certificate itself.

    Intel and AMD have issued certificates anew under the same key, so their roots are pinned by the key;
    AWS's by the certificate.

    Attributes:
        platform: the platform it vouches for.
        sha256: digest of the certificate's DER, in lower-case hex.
        key_sha256: digest of its SubjectPublicKeyInfo, in lower-case hex, for platforms that pin keys;
            empty for the others.
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
    key_sha256: str = ""

    def vouches_for(self, *, certificate: str, key: str) -> bool:
        """Whether this root is the certificate with these digests: by its key where keys are pinned.

        Args:
            certificate: SHA-256 of its DER, in lower-case hex.
            key: SHA-256 of its SubjectPublicKeyInfo.
        """
        return self.key_sha256 == key if self.key_sha256 else self.sha256 == certificate
