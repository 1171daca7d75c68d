"""Real evidence and documents, where this machine has them; read where they lie, never copied."""

import os
from collections.abc import Iterator
from pathlib import Path

_NAMED = os.environ.get("TROTH_VECTORS")
FOLDER = Path(_NAMED) if _NAMED else Path(__file__).parents[2] / "shared" / "vectors"
LARGEST = 1 << 20


def vectors(*patterns: str) -> Iterator[bytes]:
    """The content of each file that one of the patterns names; nothing where there are none."""
    for pattern in patterns:
        for path in sorted(FOLDER.glob(pattern)):
            if path.stat().st_size <= LARGEST:
                yield path.read_bytes()
