"""Unpacks an image's archives into a folder, for the simulator to use as a root."""

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from stat import S_IFDIR, S_IFLNK, S_IFREG, S_IMODE
from typing import Final

from troth.runtime import folders
from troth.wire import cpio

_PERMISSIONS: Final = 0o777  # a set-user-id bit means nothing on a mount that ignores it
_MOUNT_POINTS: Final = ("dev", "proc", "run", "sys", "tmp")


def unpack(entries: Iterable[cpio.Entry], root: Path) -> None:
    """Writes the entries below `root`, which must be empty and nobody else's.

    Owners are not kept: everything belongs to the user who runs the simulator, who is root inside.
    Device nodes are left out; the simulator mounts its own `/dev`. The folders on which it mounts are
    made where the image has none.

    Args:
        entries: as `cpio.read` or `cpio.overlay` gave them, which lets no path lead out of the root.
        root: an existing folder.

    Raises:
        Unavailable: no room, or the file system refuses a name.
    """
    folders_seen: list[tuple[Path, int]] = []
    with folders.explained(f"the image cannot be unpacked in {root}"):
        for entry in entries:
            path = root / entry.path
            match entry.kind:
                case kind if kind == S_IFDIR:
                    path.mkdir(mode=0o700)
                    folders_seen.append((path, entry.mode))
                case kind if kind == S_IFLNK:
                    os.symlink(bytes(entry.data), bytes(path))  # noqa: PTH211 - targets are bytes
                case kind if kind == S_IFREG:
                    _write(path, entry)
        for name in _MOUNT_POINTS:
            (root / name).mkdir(exist_ok=True)
        # Last and from the leaves up, so that a folder that may not be written is filled first.
        for path, mode in reversed(folders_seen):
            path.chmod(S_IMODE(mode) & _PERMISSIONS)


def _write(path: Path, entry: cpio.Entry) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        left = memoryview(entry.data)
        while left:
            left = left[file.write(left) :]
        os.fchmod(descriptor, S_IMODE(entry.mode) & _PERMISSIONS)


def remove(folder: Path) -> None:
    """Removes a folder and all below it, folders that may not be written included.

    Another process may do the same at the same time: a run's supervisor, and whoever stops it or looks
    for what others left.
    """
    while folder.exists():
        # What is gone was taken away by the other one, and there is an end to what there was.
        with contextlib.suppress(FileNotFoundError):
            for here, names, _files in os.walk(folder):
                for name in names:
                    path = Path(here, name)
                    if not path.is_symlink():
                        path.chmod(0o700)
            shutil.rmtree(folder)
