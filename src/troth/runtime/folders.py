"""Where the runtime keeps things: the development PKI and the runs, below the user's data folder."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from troth.errors import Unavailable


def data() -> Path:
    """`$XDG_DATA_HOME/troth`, or `~/.local/share/troth`.

    Raises:
        Unavailable: this user has no home folder.
    """
    named = os.environ.get("XDG_DATA_HOME", "")
    if Path(named).is_absolute():  # the standard says to ignore a relative one
        return Path(named, "troth")
    try:
        return Path.home() / ".local" / "share" / "troth"
    except RuntimeError:
        raise Unavailable(
            "this user has no home folder", fix="set HOME or XDG_DATA_HOME to a folder of yours"
        ) from None


def private(folder: Path) -> Path:
    """Makes the folder, readable by its owner alone, if it is not there.

    Raises:
        Unavailable: it can't be made.
    """
    with explained(f"{folder} cannot be made"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def replace(path: Path, content: bytes) -> None:
    """Writes a file of mode 0600 so that readers see all of the old one or all of the new one."""
    with _written(path, content) as temporary:
        temporary.replace(path)


def create(path: Path, content: bytes) -> None:
    """Writes a whole file of mode 0600 where there is none; one that is there stays as it is."""
    with _written(path, content) as temporary, contextlib.suppress(FileExistsError):
        path.hardlink_to(temporary)


@contextlib.contextmanager
def _written(path: Path, content: bytes) -> Iterator[Path]:
    """A file with this content beside `path`; gone at the end."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns the operating system's errors into ours, with a fix where there is a common one."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{what}: {error.strerror or error}",
            fix="make room, or set XDG_DATA_HOME to a folder with room that you may write to",
        ) from error
