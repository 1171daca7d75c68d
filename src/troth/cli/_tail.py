"""What a run prints, as it comes: hostile text, in whole lines, with nothing in it that acts on a screen."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from troth.cli._console import out

if TYPE_CHECKING:
    from troth.runtime.state import RunState

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


def follow(run: "RunState", *, once: bool) -> None:
    """Shows a run's console until the run ends, or what is there.

    Args:
        run: the run.
        once: return when what is there was shown.
    """
    from troth.errors import Misuse
    from troth.runtime import state

    tail = Tail(run.folder / state.CONSOLE)
    while True:
        try:
            # Asked first: what came before the end is then shown.
            live = state.read(run.id).seen in (state.STARTING, state.RUNNING)
        except Misuse:  # it has ended, and its folder was removed
            live = False
        tail.show(ended=once or not live)
        if once or not live:
            return
        time.sleep(0.1)


def _print(line: bytes) -> None:
    from troth.render.escape import visible

    for part in line.decode("utf-8", "replace").splitlines() or [""]:
        out(visible(part, limit=4096))
