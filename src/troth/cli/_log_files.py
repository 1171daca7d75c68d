"""What `troth tlog serve` answers: the files of a log in a folder, and nothing that its checkpoint does not cover.

Beyond the checkpoint there may be tiles that a crash left behind; another content will take their place, so nobody
may see them, and above all no cache.
"""

import os
import re
import stat
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final

from troth.cli._httpd import Asked, Told, words
from troth.errors import Misuse, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import note, read, tiles

_TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK: Final = "no-cache"
_TILE: Final = re.compile(r"tile/(entries|[0-9]+)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]+))?")


class Files:
    """Answers GET and HEAD for one log.

    Args:
        folder: the log's.

    Raises:
        Misuse: there is no log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._fetch = read.files(self._folder)
        if not (self._folder / tiles.CHECKPOINT).is_file():
            raise Misuse(f"no log is in {folder}", fix="make one with `troth tlog init`")

    def __call__(self, asked: Asked) -> Told:
        """One answer.

        Raises:
            Unavailable: the disk refuses.
            Malformed: the log's own checkpoint is none.
        """
        if asked.method not in {"GET", "HEAD"}:
            return words(HTTPStatus.METHOD_NOT_ALLOWED, "a log is only read")
        path = asked.path.removeprefix("/")
        try:
            tiles.most(path)
        except Misuse:
            return words(HTTPStatus.NOT_FOUND, "no log has such a file")
        if not self._covered(path):
            return words(HTTPStatus.NOT_FOUND, "the log is not as large")
        try:
            file, size = self._open(path)
        except FileNotFoundError:
            return words(HTTPStatus.NOT_FOUND, "the log has no such file")
        except OSError as error:
            raise Unavailable(f"{path}: {(error.strerror or str(error)).lower()}") from None
        tile = path.startswith("tile/")
        return Told(
            status=HTTPStatus.OK,
            content_type=_BYTES if tile else _TEXT,
            body=file,
            size=size,
            cache=_FOREVER if tile else _ASK,
        )

    def _covered(self, path: str) -> bool:
        """Whether the checkpoint says what this file holds."""
        match = _TILE.fullmatch(path)
        if match is None:
            return True
        level = 0 if match[1] == "entries" else int(match[1])
        index = int(match[2].replace("x", "").replace("/", ""))
        # Read anew each time: another process appends.
        text = note.parse(self._fetch(tiles.CHECKPOINT)).text
        size = checkpoints.parse(text).size >> 8 * level
        return index * tiles.WIDTH + int(match[3] or tiles.WIDTH) <= size

    def _open(self, path: str) -> tuple[BinaryIO, int]:
        """A plain file below the folder, no part of whose way is a link."""
        at = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        *folders, name = path.split("/")
        try:
            for folder in folders:
                inner = os.open(
                    folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at
                )
                os.close(at)
                at = inner
            handle = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at
            )
        finally:
            os.close(at)
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            os.close(handle)
            raise FileNotFoundError(path)
        return os.fdopen(handle, "rb"), found.st_size
