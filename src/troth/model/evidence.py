"""Evidence as it was presented: bytes and a name for them."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Presented bytes, not yet believed.

    Attributes:
        data: the bytes as the platform makes them, foreign framing removed.
        name: what the caller calls them (a file name, a URL), for reports.
        framing: what was removed around `data`, in words, or an empty string.
    """

    data: bytes
    name: str = "evidence"
    framing: str = ""

    def __post_init__(self) -> None:
        # What a caller could change meanwhile is copied; it could not be remembered by either.
        if type(self.data) is not bytes:
            object.__setattr__(self, "data", bytes(memoryview(self.data)))

    @property
    def sha256(self) -> str:
        """Names the bytes. ECDSA signatures can be re-encoded as (r, n−s), so it is no replay guard."""
        return hashlib.sha256(self.data).hexdigest()
