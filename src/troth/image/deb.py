"""Debian packages: `ar` around tar archives. Maintainer scripts are never run."""

import io
import lzma
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.image.tree import Tree
from troth.wire.reader import Reader

_MAGIC: Final = b"!<arch>\n"
_XZ: Final = b"\xfd7zXZ\x00"
MAX_UNPACKED: Final = 1 << 30
MAX_MEMBERS: Final = 250_000
"""Names in one package, more than any that an image is made of has."""
# What `tarfile` raises over damaged archives; it calls itself for each header that is about another.
_DAMAGE: Final = (tarfile.TarError, EOFError, UnicodeDecodeError, RecursionError)
_NAMES: Final = "utf-8"  # whatever the locale
_FIELD: Final = re.compile(r"([!-9;-~]+):[ \t]*(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a package's file archive.

    Attributes:
        path: relative.
        kind: `file`, `link`, `folder` or `hard` (a second name of the file at `target`).
        data: of a file.
        target: of a link.
        executable: whether its owner may execute it.
        known: SHA-256 of the data, where it was taken before; else empty.
    """

    path: str
    kind: str
    data: bytes = b""
    target: str = ""
    executable: bool = False
    known: bytes = b""


def members(deb: bytes, *, name: str) -> Iterator[Member]:
    """What a package installs, in its order.

    Device nodes and files with holes are refused; owners, times, set-user bits and file capabilities are
    not kept.

    Raises:
        Malformed: not a package, not compressed as Debian 13's are (xz or not at all), or with more names
            than `MAX_MEMBERS`.
    """
    data = _archive(deb, name, part="data")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding=_NAMES) as archive:
            for item in _items(archive, name):
                yield _member(item, archive, name)
            # `tarfile` takes a damaged header in the middle for the end.
            if data[archive.offset :].strip(b"\0"):
                raise Malformed("has a damaged archive", field=name, offset=archive.offset)
    except _DAMAGE as error:
        raise Malformed(f"has a damaged archive: {error}", field=name) from None


def _items(archive: tarfile.TarFile, name: str) -> Iterator[tarfile.TarInfo]:
    """The headers of an archive, of which none leads back, and only so many."""
    at = 0
    for count, item in enumerate(archive, 1):
        # A size below zero would lead it back to where it has been, again and again.
        if archive.offset <= at or item.size < 0:
            raise Malformed("has a damaged archive", field=name, offset=at)
        if count > MAX_MEMBERS:
            raise Malformed(f"holds more than {MAX_MEMBERS} files", field=name)
        at = archive.offset
        yield item
        archive.members = []  # type: ignore[attr-defined] # or it remembers them all


def place(member: Member, tree: Tree, path: str, *, owner: str) -> None:
    """Puts a member into a tree; folders come with what is in them.

    Raises:
        Malformed: it is a second name of what the tree lacks.
        Misuse: another package brings something else there.
    """
    if member.kind == "link":
        tree.add_link(path, member.target, owner=owner)
    elif member.kind == "hard":
        there = tree.resolve(member.target)
        if there is None:
            raise Malformed(f"{path} is a name of {member.target}, which it lacks", field=owner)
        first = tree[there]
        executable = bool(first.mode & 0o100)
        tree.add_file(path, first.data, owner=owner, executable=executable, known=first.known)
    elif member.kind == "file":
        executable, known = member.executable, member.known
        tree.add_file(path, member.data, owner=owner, executable=executable, known=known)


def control(deb: bytes, *, name: str) -> dict[str, str]:
    """What a package says of itself: the fields of its control file, continued lines left out.

    Raises:
        Malformed: not a package, or it has no such file.
    """
    data = _archive(deb, name, part="control")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding=_NAMES) as archive:
            for item in _items(archive, name):
                found = _member(item, archive, name)
                if found.path == "control" and found.kind == "file":
                    return _fields(found.data, name)
    except _DAMAGE as error:
        raise Malformed(f"has a damaged archive: {error}", field=name) from None
    raise Malformed("says nothing of itself", field=name)


def _fields(data: bytes, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in data.decode("utf-8").splitlines():
        if line.startswith((" ", "\t")):
            continue
        match = _FIELD.fullmatch(line)
        if match is None or match[1] in found:
            raise Malformed("has a damaged control file", field=name)
        found[match[1]] = match[2].strip()
    return found


def _archive(deb: bytes, name: str, *, part: str) -> bytes:
    reader = Reader(deb)
    if reader.take(len(_MAGIC), name) != _MAGIC:
        raise Malformed("is no Debian package", field=name, offset=0)
    while reader.remaining:
        head = reader.take(60, name)
        digits = head[48:58].strip()
        if head[58:] != b"`\n" or not digits.isdigit():
            raise Malformed("has a damaged member", field=name, offset=reader.offset - 60)
        size = int(digits)
        label = head[:16].rstrip(b" /").decode("ascii", "replace")
        content = reader.take(size, name)
        if size % 2 and reader.remaining:
            reader.take(1, name)
        if label == f"{part}.tar":
            return content
        if label == f"{part}.tar.xz":
            return _unpacked(content, name)
        if label.startswith(f"{part}.tar"):
            raise Malformed(f"is compressed as {label}, which is not read here", field=name)
    raise Malformed("holds no files" if part == "data" else "says nothing of itself", field=name)


def _unpacked(content: bytes, name: str) -> bytes:
    if not content.startswith(_XZ):
        raise Malformed("is not xz, as its name says", field=name)
    try:
        tool = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
        data = tool.decompress(content, MAX_UNPACKED)
    except lzma.LZMAError as error:
        raise Malformed(f"cannot be unpacked: {error}", field=name) from None
    if not tool.eof or tool.unused_data:
        raise Malformed("is cut short, too large, or followed by other bytes", field=name)
    return data


def _member(item: tarfile.TarInfo, archive: tarfile.TarFile, name: str) -> Member:
    path = item.name.removeprefix("./").rstrip("/")
    if path == ".":
        path = ""
    executable = bool(item.mode & 0o100)
    if item.isdir():
        return Member(path=path, kind="folder")
    if item.issym():
        return Member(path=path, kind="link", target=item.linkname)
    if item.islnk():
        return Member(path=path, kind="hard", target=item.linkname.removeprefix("./"))
    if not item.isreg():
        raise Malformed(f"holds a device or pipe {path!r}", field=name)
    if item.issparse():  # some bytes of an archive can stand for any number
        raise Malformed(f"holds {path!r} with holes, as no package of Debian's does", field=name)
    file = archive.extractfile(item)
    data = b"" if file is None else file.read()
    return Member(path=path, kind="file", data=data, executable=executable)
