"""Keeps what an image writes to its standard output and error, in a file of bounded size."""

import os
import threading
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 8 * 1024 * 1024
"""The file is begun anew past this; the one before it is kept as `.1`."""


class Console:
    """A pipe into a file. The image gets the pipe, never the file: see `sandbox.Launcher`.

    Attributes:
        write_end: descriptor for whoever writes.
    """

    def __init__(self) -> None:
        self._read, self.write_end = os.pipe()
        self._thread: threading.Thread | None = None

    def given(self) -> None:
        """Closes our own writing end: every process that is to write has one. May be called twice."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def start(self, path: Path) -> None:
        """Begins copying, on a thread, until the last writer is gone."""
        self._thread = threading.Thread(target=self._copy, args=(path,), daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Waits until all has been written."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _copy(self, path: Path) -> None:
        file = _open(path)
        size = 0
        while chunk := os.read(self._read, 1 << 16):
            if size + len(chunk) > MAX_BYTES:
                os.close(file)
                path.replace(path.with_suffix(".log.1"))
                file, size = _open(path), 0
            try:
                os.write(file, chunk)
            except OSError:  # no room: the image must not stand still for that
                continue
            size += len(chunk)
        os.close(file)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
