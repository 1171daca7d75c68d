"""What bytes go through: either end of an attested session, and nothing of how it was made."""

from typing import Protocol


class Stream(Protocol):
    """What bytes go through."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, empty at the end."""

    def write(self, data: bytes) -> None:
        """All of it."""

    def end(self) -> None:
        """Nothing more will be written."""

    def close(self) -> None:
        """Nothing more at all."""
