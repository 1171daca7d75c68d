"""cpio archives in the `newc` form, which Linux unpacks as its first file system.

The writer has no say of its own: entries sorted by the bytes of their path, inode numbers counted
from 1, owner and group 0, time 0, fixed link counts, four-byte padding; so equal trees give equal
bytes everywhere. The reader is strict and refuses what an unpacker could be tricked with.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from typing import Final

from troth.errors import Malformed, Misuse

MAGIC: Final = b"070701"
TRAILER: Final = "TRAILER!!!"
HEADER_SIZE: Final = 110
MAX_PATH: Final = 4096
MAX_NAME: Final = 255
MAX_ENTRIES: Final = 1_000_000
MAX_FILE: Final = 0xFFFFFFFF
# Files below this are joined with their headers; larger ones are handed on as they are.
JOIN_BELOW: Final = 64 * 1024

_PERMISSIONS: Final = 0o7777
_TYPES: Final = frozenset({S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK})
_DEVICES: Final = frozenset({S_IFCHR, S_IFBLK})
_FIELDS: Final = (
    "ino", "mode", "uid", "gid", "nlink", "mtime", "filesize",
    "devmajor", "devminor", "rdevmajor", "rdevminor", "namesize", "check",
)  # fmt: skip
_HEXADECIMAL: Final = frozenset(b"0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in an archive.

    Attributes:
        path: relative to the root, with single slashes and no `.` or `..`; the root itself is absent.
        mode: type and permissions, as in `stat`.
        data: the file's bytes, or the target of a symbolic link; empty otherwise.
        device: major and minor number of a device node, else zeros.
        known: SHA-256 of the data where whoever made the entry has it at hand, else empty; in no archive.
    """

    path: str
    mode: int
    data: bytes | memoryview = b""
    device: tuple[int, int] = (0, 0)
    known: bytes = field(default=b"", compare=False)

    @property
    def kind(self) -> int:
        """The type bits of the mode."""
        return S_IFMT(self.mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of an archive.

    Attributes:
        number: of its first entry, which is in that entry's header.
        entries: what is in it, in order.
        last: whether the trailer follows them.
        pieces: its bytes.
    """

    number: int
    entries: tuple[Entry, ...]
    last: bool
    pieces: tuple[bytes | memoryview, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What an archive says of a file beside what an `Entry` holds.

    Attributes:
        at: where its header begins.
        owner: numbers of its user and its group.
        time: seconds since 1970.
    """

    at: int
    owner: tuple[int, int]
    time: int


def pack(entries: Iterable[Entry]) -> tuple[bytes | memoryview, ...]:
    """The archive in pieces: large files are not copied.

    Args:
        entries: in any order; the folder of each must be among them.

    Raises:
        Misuse: a path that the reader would refuse, or a file of 4 GiB or more.
    """
    return tuple(piece for chunk in chunks(entries, lambda _: False) for piece in chunk.pieces)


def chunks(entries: Iterable[Entry], begins: Callable[[str], bool]) -> Iterator[Chunk]:
    """The same archive, cut where `begins` says of a path that a chunk begins there.

    Args:
        entries: as for `pack`.
        begins: asked of each path.

    Raises:
        Misuse: as `pack`.
    """
    ordered = sorted(entries, key=lambda entry: entry.path.encode("utf-8"))
    folders: set[str] = set()
    seen: set[str] = set()
    result: list[bytes | memoryview] = []
    small = bytearray()
    first = 1

    def chunk(end: int, *, last: bool) -> Chunk:
        return Chunk(
            number=first,
            entries=tuple(ordered[first - 1 : end - 1]),
            last=last,
            pieces=(*result, bytes(small)),
        )

    for number, entry in enumerate(ordered, start=1):
        try:
            _check(entry, folders, seen, devices=frozenset({entry.path}), offset=0)
        except Malformed as error:
            raise Misuse(f"can't be packed: {error}") from None
        if len(entry.data) > MAX_FILE:
            raise Misuse(f"{entry.path} is too large for a cpio archive")
        if number > 1 and begins(entry.path):
            yield chunk(number, last=False)
            result.clear()
            small.clear()
            first = number
        small += _header(entry, number)
        if len(entry.data) < JOIN_BELOW:
            small += entry.data
        else:
            result += (bytes(small), entry.data)
            small.clear()
        small += bytes(-len(entry.data) % 4)
        if len(small) >= JOIN_BELOW:
            result.append(bytes(small))
            small.clear()
    small += _header(Entry(path=TRAILER, mode=0), 0)
    yield chunk(len(ordered) + 1, last=True)


def _header(entry: Entry, number: int) -> bytes:
    name = entry.path.encode("utf-8") + b"\0"
    links = 2 if entry.kind == S_IFDIR else 1
    values = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device)
    head = MAGIC + b"".join(b"%08x" % value for value in (*values, len(name), 0)) + name
    return head + bytes(-len(head) % 4)


def read(
    data: bytes | memoryview, *, devices: frozenset[str] = frozenset(), base: int = 0
) -> tuple[Entry, ...]:
    """Every entry of one archive, in its order.

    Args:
        data: one uncompressed archive; zeros may follow its trailer, nothing else.
        devices: paths at which a device node may be.
        base: offset of `data` in the file, for errors.

    Raises:
        Malformed: not `newc`, an absolute path or one with `..`, a path through something that is
            not a folder of this archive, a path twice, an undeclared device, a pipe or socket, a hard
            link, bytes after the end.
    """
    view = memoryview(data)
    entries: list[Entry] = []
    folders: set[str] = set()
    seen: set[str] = set()
    at = 0
    while True:
        values, name, begin = _entry_header(view, at, base)
        size = values["filesize"]
        if size > len(view) - begin:
            raise Malformed(
                f"is {size}, but {len(view) - begin} bytes are left",
                field="cpio.filesize",
                offset=base + at,
            )
        if name == TRAILER:
            if size or values["mode"]:
                raise Malformed("is not empty", field="cpio.trailer", offset=base + at)
            break
        if len(entries) >= MAX_ENTRIES:
            raise Malformed(f"has more than {MAX_ENTRIES}", field="cpio.entries", offset=base + at)
        entry = Entry(
            path=name,
            mode=values["mode"],
            data=view[begin : begin + size],
            device=(values["rdevmajor"], values["rdevminor"]),
        )
        if entry.kind == S_IFREG and values["nlink"] != 1:
            raise Malformed(f"{name!r} is a hard link", field="cpio.nlink", offset=base + at)
        _check(entry, folders, seen, devices=devices, offset=base + at)
        entries.append(entry)
        at = _padded(view, begin + size, base)
    if view[begin:].tobytes().strip(b"\0"):
        raise Malformed("something follows the trailer", field="cpio.end", offset=base + begin)
    return tuple(entries)


def stamps(data: bytes | memoryview) -> dict[str, Stamp]:
    """Owner and time of each path of an archive that `read` took.

    Raises:
        Malformed: `read` would not have taken it.
    """
    view = memoryview(data)
    found: dict[str, Stamp] = {}
    at = 0
    while True:
        values, name, begin = _entry_header(view, at, 0)
        if name == TRAILER:
            return found
        owner = values["uid"], values["gid"]
        found[name] = Stamp(at=at, owner=owner, time=values["mtime"])
        at = _padded(view, begin + values["filesize"], 0)


def unstamped(data: bytes | memoryview, found: Iterable[Stamp]) -> bytes:
    """The archive with zeros for every owner and time, as `pack` writes it.

    Args:
        data: an archive.
        found: its stamps.
    """
    copy = bytearray(data)
    for stamp in found:
        for name in ("uid", "gid", "mtime"):
            at = stamp.at + len(MAGIC) + 8 * _FIELDS.index(name)
            copy[at : at + 8] = b"0" * 8
    return bytes(copy)


def _entry_header(view: memoryview, at: int, base: int) -> tuple[dict[str, int], str, int]:
    """The numbers, the name, and where the data begin."""
    head = bytes(view[at : at + HEADER_SIZE])
    if len(head) < HEADER_SIZE:
        raise Malformed("ends without a trailer", field="cpio.end", offset=base + at)
    if not head.startswith(MAGIC):
        raise Malformed(
            f"is {head[:6].hex()}, not that of an uncompressed newc archive",
            field="cpio.magic",
            offset=base + at,
        )
    digits = head[len(MAGIC) :]
    if not _HEXADECIMAL.issuperset(digits):
        raise Malformed("is not hexadecimal", field="cpio.header", offset=base + at)
    numbers = (int(digits[i : i + 8], 16) for i in range(0, len(digits), 8))
    values = dict(zip(_FIELDS, numbers, strict=True))
    size = values["namesize"]
    raw = bytes(view[at + HEADER_SIZE : at + HEADER_SIZE + size])
    if not 2 <= size <= MAX_PATH or len(raw) != size or raw[-1] or 0 in raw[:-1]:
        raise Malformed("is not one text that ends in NUL", field="cpio.name", offset=base + at)
    try:
        name = raw[:-1].decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8", field="cpio.name", offset=base + at) from None
    return values, name, _padded(view, at + HEADER_SIZE + size, base)


def _padded(view: memoryview, at: int, base: int) -> int:
    """The next multiple of four; what lies between must be there and be zeros."""
    end = at + (-at % 4)
    if end > len(view) or any(view[at:end]):
        raise Malformed("is not zeros", field="cpio.padding", offset=base + at)
    return end


def _check(
    entry: Entry, folders: set[str], seen: set[str], *, devices: frozenset[str], offset: int
) -> None:
    """Refuse what an unpacker could be led astray with; note the path."""
    why = _path_trouble(entry.path, folders, seen) or _kind_trouble(entry, devices)
    if why:
        raise Malformed(f"{entry.path!r} {why}", field="cpio.entry", offset=offset)
    seen.add(entry.path)
    if entry.kind == S_IFDIR:
        folders.add(entry.path)


def _path_trouble(path: str, folders: set[str], seen: set[str]) -> str:
    parts = path.split("/")
    parent = path.rpartition("/")[0]
    troubles = (
        (path.startswith("/"), "is an absolute path"),
        (".." in parts, "goes up with `..`"),
        ("" in parts or "." in parts, "is not in its plain form"),
        (
            "\0" in path or any(len(part.encode("utf-8")) > MAX_NAME for part in parts),
            "has a name that no file system takes",
        ),
        (len(path.encode("utf-8")) >= MAX_PATH or path == TRAILER, "is no name for a file"),
        (path in seen, "is there twice"),
        (parent in seen and parent not in folders, "passes through what is not a folder"),
        (bool(parent) and parent not in folders, "comes before its folder"),
    )
    return next((why for found, why in troubles if found), "")


def _kind_trouble(entry: Entry, devices: frozenset[str]) -> str:
    is_device = entry.kind in _DEVICES
    no_kind = entry.kind not in _TYPES or entry.mode & ~(_PERMISSIONS | S_IFMT(0xFFFF))
    no_target = entry.kind == S_IFLNK and (
        not 0 < len(entry.data) < MAX_PATH or 0 in bytes(entry.data)
    )
    troubles = (
        (no_kind, f"has the mode {entry.mode:o}, which is no file, folder, link or device"),
        (is_device and entry.path not in devices, "is a device"),
        (not is_device and entry.device != (0, 0), "has a device number"),
        ((is_device or entry.kind == S_IFDIR) and len(entry.data), "has data"),
        (no_target, "has a target that is no path"),
    )
    return next((why for found, why in troubles if found), "")


def overlay(archives: Sequence[tuple[Entry, ...]]) -> tuple[Entry, ...]:
    """What several archives give when they are unpacked over each other, sorted by path.

    Raises:
        Malformed: two archives have the same path, and it is not the same folder in both.
    """
    merged: dict[str, Entry] = {}
    for archive in archives:
        for entry in archive:
            known = merged.setdefault(entry.path, entry)
            if known is not entry and not (known.kind == S_IFDIR and known.mode == entry.mode):
                raise Malformed(
                    f"{entry.path!r} is in two archives and differs", field="cpio.overlay"
                )
    return tuple(sorted(merged.values(), key=lambda entry: entry.path.encode("utf-8")))
