"""The app's way to the console of a machine of its own: a pipe, so that no app holds a terminal.

A terminal takes orders from whoever holds it, and answers with input; a pipe takes bytes.
"""

import os
import threading
from typing import Final

_CHUNK: Final = 1 << 16


class Console:
    """Takes the place of standard output and error of this process and all that it starts."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        self._terminal = os.dup(1)
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(write)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Copies from now on, on a thread."""
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Shows what is left, and gives the terminal back to this process."""
        os.dup2(self._terminal, 1)
        os.dup2(self._terminal, 2)
        if self._thread is None:
            self.start()
        if self._thread is not None:
            self._thread.join(seconds)

    def _copy(self) -> None:
        while chunk := os.read(self._read, _CHUNK):
            left = memoryview(chunk)
            while left:
                left = left[os.write(self._terminal, left) :]
