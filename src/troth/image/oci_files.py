"""The files of a container image as it was saved: a folder, or one tar archive that is not unpacked."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from troth.errors import Malformed, Misuse
from troth.image.files import disk
from troth.image.tree import normal
from troth.wire import tar

_PACKED: Final = {b"\x1f\x8b": "gunzip", b"\x28\xb5\x2f\xfd": "zstd -d", b"\xfd7zX": "unxz"}
_MOST_FILES: Final = 100_000
_MOST_LINKS: Final = 8
SAVE: Final = "docker save IMAGE -o image.tar, or skopeo copy docker://IMAGE oci:folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A stretch of an open file; see `unpacked.Blob`."""

    name: str
    size: int
    handle: int
    begin: int = 0

    def read(self, at: int, size: int) -> bytes:
        """Some bytes from an offset; fewer only at the end."""
        with disk(f"reading {self.name}"):
            return os.pread(self.handle, max(0, min(size, self.size - at)), self.begin + at)


class Files(Protocol):
    """What was saved, by name."""

    def find(self, name: str) -> Stored | None:
        """A file, or None where there is none of this name."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Files]:
    """The files below a folder or in a tar archive, for as long as the block runs.

    Raises:
        Unavailable: it can't be read.
        Misuse: there is no such file or folder, or the archive is packed.
        Malformed: the archive is damaged.
    """
    with contextlib.ExitStack() as stack:
        with disk(f"reading {path}"):
            files = _files(path, stack)
        yield files


def _files(path: Path, stack: contextlib.ExitStack) -> Files:
    if path.is_dir():
        return _Folder(path, stack)
    if not path.is_file():
        raise Misuse(f"{path} is no file and no folder", fix=f"save the image there: {SAVE}")
    return archive(_open(path, stack))


def _open(path: Path, stack: contextlib.ExitStack) -> Stored:
    # A pipe would be waited for without end.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    stack.callback(os.close, handle)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise Misuse(f"{path} is no file")
    return Stored(name=path.name, size=status.st_size, handle=handle)


class _Folder:
    def __init__(self, path: Path, stack: contextlib.ExitStack) -> None:
        self._path = path
        self._stack = stack

    def find(self, name: str) -> Stored | None:
        plain = normal(name)
        if plain != name:
            raise Malformed(f"names {name!r}, which is no plain path", field=self._path.name)
        place = self._path / plain
        with disk(f"reading {place}"):
            if not place.is_file():
                return None
            if not place.resolve().is_relative_to(self._path.resolve()):
                raise Misuse(
                    f"{place} leads out of {self._path}", fix="put the file itself into the folder"
                )
            return replace(_open(place, self._stack), name=f"{self._path.name}/{plain}")


class _Archive:
    def __init__(self, whole: Stored, files: dict[str, Stored], links: dict[str, str]) -> None:
        self._whole = whole
        self._files = files
        self._links = links

    def find(self, name: str) -> Stored | None:
        for _ in range(_MOST_LINKS):
            if name in self._files:
                return self._files[name]
            if name not in self._links:
                return None
            # docker save of old: a layer that two images share is there once, and linked to.
            name = normal(f"{name.rpartition('/')[0]}/{self._links[name]}")
        return None


class _Seeking:
    """A tar stream over a file: what is passed over is not read."""

    def __init__(self, file: Stored) -> None:
        self._file = file
        self._at = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(self._at, size)
        self._at += len(data)
        return data

    def skip(self, size: int) -> int:
        passed = min(size, self._file.size - self._at)
        self._at += passed
        return passed


def archive(whole: Stored) -> Files:
    """The files of a tar archive, of which only the headers are read.

    Raises:
        Misuse: it is packed as a whole.
        Malformed: it is damaged, or holds a name twice.
    """
    head = whole.read(0, 4)
    for magic, tool in _PACKED.items():
        if head.startswith(magic):
            raise Misuse(f"{whole.name} is packed as a whole", fix=f"unpack it first: {tool} FILE")
    files: dict[str, Stored] = {}
    links: dict[str, str] = {}
    for member in tar.Archive(_Seeking(whole), field=whole.name):
        name = normal(member.name)
        if member.kind is tar.Kind.FOLDER:
            continue
        if name in files or name in links:
            raise Malformed(f"holds {name!r} twice", field=whole.name, offset=member.at)
        if len(files) + len(links) >= _MOST_FILES:
            raise Malformed(f"holds more than {_MOST_FILES} files", field=whole.name)
        if member.kind is tar.Kind.LINK:
            links[name] = member.target
        elif member.kind is tar.Kind.FILE:
            files[name] = Stored(
                name=f"{whole.name}:{name}",
                size=member.size,
                handle=whole.handle,
                begin=member.begin,
            )
        else:
            raise Malformed(
                f"holds {name!r}, a {member.kind.value}", field=whole.name, offset=member.at
            )
    return _Archive(whole, files, links)
