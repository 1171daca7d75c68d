"""Do these bytes begin as a service's kept answers do? Asked of every file, so nothing is loaded for it."""

from typing import Final

SCHEMA: Final = "troth/transcript/1"


def looks_like(data: bytes) -> bool:
    """Whether these bytes begin as a transcript does: a map of eight whose first key is `key`."""
    return data.startswith(b"\xa8\x63key")
