"""What a log does to a disk, one step at a time: what a crash may undo is named, so that tests can undo it."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from troth.errors import Unavailable

_AT_ONCE: Final = 8


class Disk:
    """The disk itself. Every step is here and none elsewhere.

    Nothing is durable before its `sync`: of a file its content, of a folder the names in it.
    """

    def make(self, folder: Path) -> None:
        """Makes a folder in one that is there; one that is there already is no trouble."""
        folder.mkdir(exist_ok=True)

    def write(self, file: Path, data: bytes) -> None:
        """Writes a file from its beginning."""
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        with open(handle, "wb") as out:  # noqa: PTH123 - a descriptor
            out.write(data)

    def sync(self, place: Path) -> None:
        """Returns when the file's content, or the names in the folder, are on the disk."""
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Gives a file another name, in place of what had that name."""
        old.replace(new)

    def remove(self, file: Path) -> None:
        """Takes a file's name away; one that is absent is no trouble."""
        file.unlink(missing_ok=True)

    def remove_folder(self, folder: Path) -> None:
        """Takes an empty folder away."""
        folder.rmdir()


class Together:
    """Files that are on the disk, with their names, before any step after them.

    All are written before the first is waited for, which asks the disk to settle once and not once a file.
    """

    def __init__(self, disk: Disk, root: Path) -> None:
        self._disk = disk
        self._root = root
        self._durable = {root}  # folders whose own names are on the disk
        self._written: list[Path] = []
        self._touched: set[Path] = set()

    def write(self, name: str, data: bytes) -> None:
        """Writes a file beside its place, which is named from the root on."""
        path = self._root / name
        self._make(path.parent)
        self._disk.write(_beside(path), data)
        self._written.append(path)
        self._touched.add(path.parent)

    def settle(self) -> None:
        """Moves all to their places, and returns when that is on the disk.

        Raises:
            OSError: the disk failed, and nobody knows which of the files are there.
        """
        self._sync([_beside(path) for path in self._written])
        for path in self._written:
            self._disk.rename(_beside(path), path)
        self._sync(sorted(self._touched))
        # Folders of parts of tiles come and go, and are asked for anew.
        self._durable.update(folder for folder in self._touched if folder.suffix != ".p")
        self._written.clear()
        self._touched.clear()

    def _sync(self, places: Sequence[Path]) -> None:
        """All at once: a disk that is asked for several things puts them into one of its own steps."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self._disk.sync, places):
                pass

    def _make(self, folder: Path) -> None:
        if folder in self._durable or folder in self._touched:
            return
        self._make(folder.parent)
        # One that is there may be of a process that was killed before its name was on the disk.
        self._disk.make(folder)
        self._touched.update((folder, folder.parent))


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def make(folder: Path, disk: Disk) -> None:
    """Makes a folder and those above it, durably."""
    if not folder.parent.exists():
        make(folder.parent, disk)
    disk.make(folder)
    disk.sync(folder.parent)


@contextlib.contextmanager
def doing(folder: Path) -> Iterator[None]:
    """The disk's own troubles with a log, in our words."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(
            f"the log in {folder}: {why}", fix="see to the disk, then open the log again"
        ) from error
