"""Where collateral is kept and what was seen is remembered: below the user's cache and data folders."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from troth.errors import Unavailable


def cache() -> Path:
    """`$XDG_CACHE_HOME/troth/collateral`, or below `~/.cache`: all of it can be had again.

    Raises:
        Unavailable: this user has no home folder.
    """
    return _folder("XDG_CACHE_HOME", ".cache") / "troth" / "collateral"


def data() -> Path:
    """`$XDG_DATA_HOME/troth/trust`, or below `~/.local/share`: what must not be forgotten.

    Raises:
        Unavailable: this user has no home folder.
    """
    return _folder("XDG_DATA_HOME", ".local/share") / "troth" / "trust"


def write(path: Path, content: bytes) -> None:
    """Writes a file of mode 0600, in folders of mode 0700, whole or not at all.

    Raises:
        Unavailable: the disk refuses.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        scratch = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)


def read(path: Path, limit: int) -> bytes | None:
    """The bytes of a file, at most one more than `limit`; None where there is none.

    Raises:
        Unavailable: it is there and cannot be read.
    """
    with explained(path):
        try:
            with path.open("rb") as file:
                return file.read(limit + 1)
        except FileNotFoundError:
            return None


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the operating system's errors into ours."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"cannot use {path}: {error.strerror or error}",
            fix="make room, or set XDG_CACHE_HOME and XDG_DATA_HOME to folders that you may write to",
        ) from None


def _folder(variable: str, otherwise: str) -> Path:
    named = os.environ.get(variable, "")
    if Path(named).is_absolute():  # the standard says to ignore a relative one
        return Path(named)
    try:
        return Path.home() / otherwise
    except RuntimeError:
        raise Unavailable(
            "this user has no home folder", fix=f"set HOME or {variable} to a folder of yours"
        ) from None
