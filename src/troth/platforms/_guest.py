"""Devices and pseudo-files of all guests are opened, asked and refuse alike, so this part is shared."""

import ctypes
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from troth.errors import Malformed, Misuse, Unavailable

REPORT_DATA: Final = 64  # bytes that a guest chooses, on each of the platforms
_TRIES: Final = 5
_PAUSE: Final = 0.1  # seconds, longer each time
_PASSING: Final = (errno.EINTR, errno.EAGAIN, errno.EBUSY)
_ROOT: Final = "run this as root, or as the user who owns the device"
_FIXES: Final = {errno.EACCES: _ROOT, errno.EPERM: _ROOT}


class Ioctl(Protocol):
    """How a driver is asked: by number, with a structure that it may change."""

    def __call__(self, fd: int, number: int, message: ctypes.Structure, /) -> object:
        """Raises OSError where the driver refuses."""


def kernel(fd: int, number: int, message: ctypes.Structure, /) -> object:
    """The kernel's own ioctl."""
    return fcntl.ioctl(fd, number, message)


def chosen(report_data: bytes) -> bytes:
    """The bytes to be reported over.

    Raises:
        Misuse: there are not 64 of them.
    """
    if len(report_data) != REPORT_DATA:
        raise Misuse(f"report data of {len(report_data)} bytes, should be {REPORT_DATA}")
    return bytes(report_data)


@contextmanager
def opened(path: str, *, fix: str) -> Iterator[int]:
    """The device, open.

    Args:
        path: where it is.
        fix: how to get it, where it is absent.

    Raises:
        Unavailable: it cannot be opened.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(
            f"cannot open {path}: {error.strerror}", fix=_FIXES.get(error.errno or 0, fix)
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


def refused(fd: int, number: int, message: ctypes.Structure, *, ioctl: Ioctl) -> OSError | None:
    """Asks, again after interruptions and passing trouble; what the driver refused with, or None."""
    trouble: OSError | None = None
    for attempt in range(_TRIES):
        time.sleep(_PAUSE * attempt)
        try:
            ioctl(fd, number, message)
        except OSError as error:
            trouble = error
            if error.errno not in _PASSING:
                return trouble
        else:
            return None
    return trouble


def read(path: str, limit: int) -> bytes:
    """All that a pseudo-file gives.

    Raises:
        OSError: what the kernel says, passing trouble too.
        Malformed: it is more than `limit` bytes.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        whole = bytearray()
        while part := os.read(fd, limit + 1 - len(whole)):
            whole += part
    finally:
        os.close(fd)
    if len(whole) > limit:
        raise Malformed(f"is larger than {limit} bytes", field=path)
    return bytes(whole)


def write(path: str, data: bytes) -> None:
    """Gives a pseudo-file a value, in one piece: each write is taken for a whole one.

    Raises:
        OSError: what the kernel says.
        Unavailable: it took only a part.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        written = os.write(fd, data)
    finally:
        os.close(fd)
    if written != len(data):
        raise Unavailable(f"{path} took {written} bytes of {len(data)}")
