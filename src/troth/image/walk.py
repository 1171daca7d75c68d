"""A folder of this machine's, taken as the app's root: in one order, and never past a link."""

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from troth.errors import Misuse, Unavailable
from troth.image.files import disk
from troth.image.foreign import COVERED, SCRATCH, File, Folder, Foreign, Link
from troth.image.layers import NO_ATTRIBUTES, NO_SET_IDS, SET_IDS, LeftOut
from troth.image.unpacked import Budget

T = TypeVar("T")

_KINDS: Final = {
    stat.S_IFCHR: "character devices are left out",
    stat.S_IFBLK: "block devices are left out",
    stat.S_IFIFO: "pipes are left out",
    stat.S_IFSOCK: "sockets are left out",
}
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_AGAIN: Final = "let nothing write to the folder while it is read, and run it again"


def walk(top: Path) -> tuple[Foreign, LeftOut]:
    """The folder's content.

    What is mounted over when the app runs (`/dev`, `/proc`, `/sys`) is not looked at; below `/run` and
    `/tmp` only folders are kept.

    Raises:
        Misuse: no folder, or a name that is not UTF-8.
        Unavailable: something can't be read, or changed meanwhile.
        Malformed: larger or deeper than an image may be.
    """
    if not top.is_dir():
        raise Misuse(f"{top} is no folder", fix="name the folder that is to be the app's root")
    tree, left_out, budget = Foreign(top.name), LeftOut(), Budget()
    with disk(f"reading {top}"):
        handle = os.open(top, _FOLDER & ~os.O_NOFOLLOW)
        try:
            _folder(_Walk(tree, left_out, budget), handle, "")
        finally:
            os.close(handle)
    return tree, left_out


class _Walk:
    def __init__(self, tree: Foreign, left_out: LeftOut, budget: Budget) -> None:
        self.tree = tree
        self.left_out = left_out
        self.budget = budget


def _folder(walk: _Walk, handle: int, path: str) -> None:
    before = os.fstat(handle)
    for name in _names(handle, path, walk.tree.name):
        place = f"{path}/{name}" if path else name
        status = _readable(partial(os.stat, name, dir_fd=handle, follow_symlinks=False), place)
        first = place.partition("/")[0]
        if stat.S_ISDIR(status.st_mode):
            walk.tree.put(place, Folder())
            if first in COVERED:
                continue
            inner = _readable(partial(os.open, name, _FOLDER, dir_fd=handle), place)
            try:
                _folder(walk, inner, place)
            finally:
                os.close(inner)
        elif first not in SCRATCH or first == place:
            _other(walk, handle, name, place, status)
        else:
            walk.left_out.add(f"files below /{first} are left out: it is mounted over", place)
    if _stamp(os.fstat(handle)) != _stamp(before):
        raise _changed(path or "the folder")


def _names(handle: int, path: str, top: str) -> Iterator[str]:
    with os.scandir(handle) as found:
        names = sorted(os.fsencode(entry.name) for entry in found)
    for raw in names:
        try:
            yield raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Misuse(
                f"{top}/{path} has the name {raw!r}, which is not UTF-8", fix="rename it"
            ) from None


def _other(walk: _Walk, handle: int, name: str, place: str, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        target = _readable(partial(os.readlink, name, dir_fd=handle), place)
        try:
            plain = os.fsencode(target).decode("utf-8")
        except UnicodeDecodeError:
            raise Misuse(f"{place} links to a name that is not UTF-8", fix="rename it") from None
        walk.tree.put(place, Link(plain))
    elif kind == stat.S_IFREG:
        _file(walk, handle, name, place)
    else:
        walk.left_out.add(_KINDS.get(kind, "files of an unknown kind are left out"), place)


def _file(walk: _Walk, handle: int, name: str, place: str) -> None:
    inner = _readable(partial(os.open, name, _FILE, dir_fd=handle), place)
    with os.fdopen(inner, "rb", buffering=0) as file:
        before = os.fstat(inner)
        if not stat.S_ISREG(before.st_mode):
            raise _changed(place)
        walk.budget.take(before.st_size, walk.tree.name)
        data = _readable(file.readall, place)
        if _stamp(os.fstat(inner)) != _stamp(before) or len(data) != before.st_size:
            raise _changed(place)
        if before.st_mode & SET_IDS:
            walk.left_out.add(NO_SET_IDS, place)
        if _attributes(inner):
            walk.left_out.add(NO_ATTRIBUTES, place)
    walk.tree.put(place, File(data, executable=bool(before.st_mode & 0o111)))


def _readable(step: Callable[[], T], place: str) -> T:
    """Runs a step that may be refused, and names the file if it is."""
    try:
        return step()
    except FileNotFoundError:
        raise _changed(place) from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(
            f"{place} can't be read: {why}", fix="make it readable, or build as its owner"
        ) from None


def _attributes(handle: int) -> list[str]:
    try:
        return os.listxattr(handle)
    except OSError:  # a file system without any
        return []


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """What changes with a file; the time of its last reading is not among it."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode


def _changed(place: str) -> Unavailable:
    return Unavailable(f"{place} changed while it was read", fix=_AGAIN)
