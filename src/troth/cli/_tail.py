"""What a run prints, as it comes: hostile text, in whole lines, with nothing in it that acts on a screen."""

import os
from pathlib import Path
from typing import BinaryIO, Final

from troth.cli._console import out

_PIECE: Final = 1 << 20
_LONGEST: Final = 1 << 16
"""Bytes after which a line that does not end is shown."""


class Tail:
    """A console file, from its beginning.

    Args:
        path: the file; it may not be there yet, and may be begun anew when it is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Held open: who removes the file when all is over must not take its last words along.
        self._file: BinaryIO | None = None
        self._rest = b""

    def show(self, *, ended: bool) -> None:
        """Prints what has come since the last time.

        Args:
            ended: whether nothing more will come, so that a line without an end is shown, too.
        """
        while piece := self._more():
            *lines, self._rest = (self._rest + piece).split(b"\n")
            if len(self._rest) > _LONGEST:
                lines.append(self._rest)
                self._rest = b""
            for line in lines:
                _print(line)
        if ended and self._rest:
            _print(self._rest)
            self._rest = b""

    def _more(self) -> bytes:
        piece = b"" if self._file is None else self._file.read(_PIECE)
        if not piece and self._begun_anew():
            piece = b"" if self._file is None else self._file.read(_PIECE)
        return piece

    def _begun_anew(self) -> bool:
        """Opens the file that has this name now, if it is another one."""
        try:
            found = self._path.open("rb")
        except OSError:
            return False
        if self._file is not None:
            if os.path.sameopenfile(found.fileno(), self._file.fileno()):
                found.close()
                return False
            self._file.close()
        self._file = found
        return True


def _print(line: bytes) -> None:
    from troth.render.escape import visible

    for part in line.decode("utf-8", "replace").splitlines() or [""]:
        out(visible(part, limit=4096))
