"""Small files that must not be lost: what a witness and a monitor remember."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from troth.errors import Unavailable


@contextlib.contextmanager
def disk(place: Path) -> Iterator[None]:
    """Turns the operating system's errors into ours.

    Raises:
        Unavailable: the block met one.
    """
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(
            f"cannot use {place}: {why}", fix="free space, or mend the folder's rights"
        ) from error


def write(path: Path, data: bytes) -> None:
    """Writes a file that is its owner's alone: on the disk when this returns, and whole whenever it is read.

    One process at a time may write a file; see `alone`.

    Raises:
        Unavailable: the disk refuses. The file is what it was, or the new one.
    """
    scratch = path.with_name(f".{path.name}.new")
    with disk(path):
        scratch.unlink(missing_ok=True)
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
        sync(path.parent)


def read(path: Path, *, limit: int) -> bytes | None:
    """The bytes of a file, at most one more than `limit`; None where there is none.

    Raises:
        Unavailable: it is there and cannot be read.
    """
    with disk(path):
        try:
            with path.open("rb") as file:
                return file.read(limit + 1)
        except FileNotFoundError:
            return None


def sync(folder: Path) -> None:
    """Returns when the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """The block runs in one thread of one process at a time, for each lock.

    Raises:
        Unavailable: the system has no such locks, or the disk refuses.
    """
    try:
        import fcntl
    except ImportError:
        raise Unavailable("this needs locks of files, which this system lacks") from None
    with disk(lock):
        file = lock.open("ab")
    with file:
        with disk(lock):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
