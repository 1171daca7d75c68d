"""The kernel's side of configfs-tsm, as drivers/virt/coco/guest/report.c and fs/configfs/file.c have it."""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

_TEXTS = ("provider", "generation", "privlevel", "privlevel_floor")
_BLOBS = ("inblob", "outblob", "auxblob")
_READABLE = ("provider", "generation", "privlevel_floor", "outblob", "auxblob")
_WRITABLE = ("privlevel", "inblob")
_INBLOB_MAX = 64
_WORD = 1 << 64
Report = Callable[[bytes, int], tuple[bytes, bytes]]


@dataclass
class Folder:
    """One report: `tsm_report_state`."""

    written: int = 0
    read: int = 0
    level: int = 0
    inblob: bytes = b""
    answer: tuple[bytes, bytes] | None = None

    def advance(self) -> None:
        if self.written == (self.read - 1) % _WORD:
            raise OSError(errno.EBUSY, "busy")
        self.written = (self.written + 1) % _WORD


@dataclass
class Kernel:
    """Configfs with one guest's driver, and what a test wants to happen in between.

    Attributes:
        provider: the driver's name; empty where none is loaded.
        report: the driver's `report_new`: data and level to outblob and auxblob.
        levels: whether the driver shows privilege levels.
        auxiliary: whether it shows `auxblob`.
        floor: the lowest level.
        meddle: called with the operation and the file's name before each; may raise OSError.
        folders: by path.
        made: paths of all folders that were ever made.
        done: every operation on a file, in order.
    """

    provider: str
    report: Report
    levels: bool = False
    auxiliary: bool = False
    floor: int = 0
    meddle: Callable[[str, str], None] = lambda _operation, _name: None
    folders: dict[str, Folder] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    done: list[tuple[str, str]] = field(default_factory=list)

    def happens(self, operation: str, name: str) -> None:
        self.done.append((operation, name))
        self.meddle(operation, name)

    def visible(self, name: str) -> bool:
        if name == "auxblob":
            return self.auxiliary
        return self.levels if name.startswith("privlevel") else name in (*_TEXTS, *_BLOBS)

    def mode(self, path: str) -> int:
        folder, _, name = path.rpartition("/")
        if path in ("", "/report") or path in self.folders:
            return stat.S_IFDIR | 0o755
        if folder in self.folders and self.visible(name):
            return stat.S_IFREG | (0o444 if name in _READABLE else 0o200)
        raise FileNotFoundError(errno.ENOENT, "absent")

    def make(self, path: str) -> None:
        self.happens("make", "")
        if not self.provider:
            raise OSError(errno.ENXIO, "no driver")
        self.folders[path] = Folder()
        self.made.append(path)

    def remove(self, path: str) -> None:
        self.happens("remove", "")
        del self.folders[path]

    def open(self, path: str, flags: int) -> "File":
        folder, _, name = path.rpartition("/")
        self.happens("open", name)
        writes = flags & os.O_ACCMODE != os.O_RDONLY
        if name not in (_WRITABLE if writes else _READABLE):
            raise OSError(errno.EACCES, "not so")
        return File(self, self.folders[folder], name)

    def generate(self, folder: Folder) -> tuple[bytes, bytes]:
        """`tsm_report_read`: cached unless something was written since."""
        if not folder.inblob:
            raise OSError(errno.EINVAL, "nothing to report over")
        if folder.answer is None or folder.read != folder.written:
            folder.answer = None
            folder.answer = self.report(folder.inblob, folder.level)
            folder.read = folder.written
        return folder.answer


@dataclass
class File:
    """An open attribute: `configfs_buffer`."""

    kernel: Kernel
    folder: Folder
    name: str
    content: bytes | None = None
    pending: bytes | None = None

    def read(self) -> bytes:
        if self.content is None:
            self.kernel.happens("read", self.name)
            self.content = self.shown()
        return self.content

    def shown(self) -> bytes:
        match self.name:
            case "provider":
                return f"{self.kernel.provider}\n".encode()
            case "generation":
                return b"%d\n" % self.folder.written
            case "privlevel_floor":
                return b"%d\n" % self.kernel.floor
        return self.kernel.generate(self.folder)[self.name == "auxblob"]

    def write(self, data: bytes, offset: int) -> int:
        self.kernel.happens("write", self.name)
        if self.name == "privlevel":
            level = int(data)
            if not self.kernel.floor <= level <= 3:
                raise OSError(errno.EINVAL, "no such level")
            self.folder.advance()
            self.folder.level = level
            return len(data)
        if offset + len(data) > _INBLOB_MAX:
            raise OSError(errno.EFBIG, "too long")
        self.pending = (self.pending or b"")[:offset].ljust(offset, b"\0") + data
        return len(data)

    def close(self) -> None:
        """A blob is taken when its file is closed, and what the driver says to it is ignored."""
        if self.pending is None:
            return
        try:
            self.kernel.happens("close", self.name)
            self.folder.advance()
            self.folder.inblob = self.pending
        except OSError:
            pass
        finally:
            self.pending = None

    def ioctl(self, _number: int, _message: bytes) -> tuple[int, bytes]:
        raise OSError(errno.ENOTTY, "no device")
