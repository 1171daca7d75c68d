"""What a log does to a disk, one step at a time: what a crash may undo is named, so that tests can undo it."""

import os
from pathlib import Path


class Disk:
    """The disk itself. Every step is here and none elsewhere.

    Nothing is durable before its `sync`: of a file its content, of a folder the names in it.
    """

    def make(self, folder: Path) -> bool:
        """Makes a folder in one that is there; whether it was absent."""
        try:
            folder.mkdir()
        except FileExistsError:
            return False
        return True

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
