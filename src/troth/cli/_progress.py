"""Progress: on a terminal only, and only of what takes longer than a blink."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

from troth.cli._console import say

PATIENCE: Final = 0.3  # seconds


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], object]]:
    """The block tells each step as it begins; a step that is still going after 300 ms is said on stderr."""
    waiting: list[threading.Timer] = []
    shown = sys.stderr.isatty()

    def quiet() -> None:
        while waiting:
            waiting.pop().cancel()

    def tell(text: str) -> None:
        quiet()
        if shown:
            timer = threading.Timer(PATIENCE, say, [text])
            timer.daemon = True
            waiting.append(timer)
            timer.start()

    try:
        yield tell
    finally:
        quiet()
