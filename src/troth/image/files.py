"""Files on disk: whole or not at all, and the disk's own troubles in our words."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from troth.errors import Unavailable

Content = Iterable[bytes | memoryview]


@contextlib.contextmanager
def disk(doing: str) -> Iterator[None]:
    """Turn an OSError of this block into `Unavailable`.

    Args:
        doing: what was being done, such as `writing app.eif`.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise Unavailable(
            f"{doing}: {why.lower()}", fix="free space or choose another folder"
        ) from error


def cache_folder() -> Path:
    """Where troth keeps what can be had again."""
    return _folder("XDG_CACHE_HOME", ".cache")


def state_folder() -> Path:
    """Where troth keeps what is of this machine alone, apart from what can be had again."""
    return _folder("XDG_STATE_HOME", ".local/state")


def _folder(variable: str, otherwise: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    return (named if named.is_absolute() else Path.home() / otherwise) / "troth"


def write_together(folder: Path, files: Mapping[str, Content]) -> None:
    """Write several files that belong together.

    Each is written beside its place and moved there when all are whole. A single file takes the
    old one's place at once; of several, the old ones are gone before the first new one appears, so
    that no mixture of old and new is ever seen.

    Raises:
        Unavailable: the disk is full, or the folder can't be written.
    """
    with disk(f"writing {', '.join(files)}"), contextlib.ExitStack() as undo:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, content in files.items():
            handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
            undo.callback(Path(temporary).unlink, missing_ok=True)
            with os.fdopen(handle, "wb") as out:
                out.writelines(content)
                out.flush()
                os.fchmod(out.fileno(), 0o644)
                os.fsync(out.fileno())
            written.append((temporary, folder / name))
        for _, place in written if len(written) > 1 else ():
            place.unlink(missing_ok=True)
        for temporary, place in written:
            Path(temporary).replace(place)


def write_new(path: Path, data: bytes) -> None:
    """Write a file of a tree that is unpacked, with the folders above it.

    Nothing that is there is written over or followed: on a disk that takes names for one that differ in
    case only, the second of two would take the first one's place, or be written where that one leads.

    Raises:
        Unavailable: something of that name is there.
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise Unavailable(
            f"{path} is there already, perhaps under a name that differs in case only",
            fix="use a disk that tells such names apart; TMPDIR chooses another",
        ) from None
