"""Wheels: zip archives whose RECORD names the digest of every file (PEP 427)."""

import base64
import csv
import hashlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from typing import Final

from troth.errors import Malformed

MAX_UNPACKED: Final = 512 * 1024 * 1024
MAX_MEMBERS: Final = 100_000
MAX_METADATA: Final = 4 * 1024 * 1024
_OF_A_MEMBER: Final = b"PK\1\2"  # in the directory at the end
# Of the other ways that zip has, Python's unpacks all of a piece at once, however much that is.
_COMPRESSED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What `zipfile` and its decompressors raise over damaged archives, as every bit of one shows.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, NotImplementedError, OSError, RuntimeError, ValueError,
)  # fmt: skip


def files(wheel: bytes, *, name: str) -> Iterator[tuple[str, bytes]]:
    """Paths below the packages' folder, and contents, each compared with the wheel's RECORD.

    Scripts, headers and data of the wheel are left out: nothing in an image calls them.

    Raises:
        Malformed: no wheel; a file that RECORD lacks or gives another digest for; a path that climbs.
    """
    archive, listed = opened(wheel, name)
    record = _record(archive, name)
    for item in sorted(listed, key=lambda entry: entry.filename):
        path = item.filename
        parts = path.split("/")
        if path.endswith("/"):
            continue
        if path.startswith("/") or ".." in parts or "" in parts or "\\" in path:
            raise Malformed(f"holds the path {path!r}", field=name)
        data = read(archive, item, name)
        if not path.endswith(
            (".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")
        ):
            _compare(data, record.get(path, ("", "")), path, name)
        place = _place(parts)
        if place:
            yield place, data


def is_metadata(path: str) -> bool:
    """Whether a path that `files` gives is of the wheel's METADATA."""
    return path.endswith(".dist-info/METADATA") and path.count("/") == 1


def metadata(wheel: bytes, *, name: str) -> Message:
    """What a wheel says of itself (core metadata): fields and no description.

    Raises:
        Malformed: it says nothing, or twice, or too much; and as `files`.
    """
    found = [data for path, data in files(wheel, name=name) if is_metadata(path)]
    if len(found) != 1 or len(found[0]) > MAX_METADATA:
        raise Malformed("has no METADATA of its own, or several, or too large a one", field=name)
    return BytesHeaderParser(policy=compat32).parsebytes(found[0])


def opened(wheel: bytes, name: str) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """The archive and what it lists, within bounds.

    Raises:
        Malformed: it is none, or out of bounds.
    """
    # Before anything is made of them; what a compressed file has by chance does not make so many.
    if wheel.count(_OF_A_MEMBER) > MAX_MEMBERS:
        raise Malformed(f"holds more than {MAX_MEMBERS} files", field=name)
    try:
        archive = zipfile.ZipFile(io.BytesIO(wheel))
        listed = archive.infolist()
    except _DAMAGE as error:
        raise Malformed(f"is no wheel: {error}", field=name) from None
    if not all(item.compress_type in _COMPRESSED for item in listed):
        raise Malformed("is compressed as no wheel is, neither deflated nor stored", field=name)
    if sum(item.file_size for item in listed) > MAX_UNPACKED:
        raise Malformed("is too large unpacked", field=name)
    if len({item.filename for item in listed}) != len(listed):
        raise Malformed("holds one name twice", field=name)
    return archive, listed


def _place(parts: list[str]) -> str:
    """Where a file goes, or an empty text if it is left out."""
    if not parts[0].endswith(".data"):
        return "/".join(parts)
    return "/".join(parts[2:]) if parts[1:2] in (["purelib"], ["platlib"]) else ""


def read(archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str) -> bytes:
    """The content of a member.

    Raises:
        Malformed: it is damaged.
    """
    try:
        with archive.open(item) as file:
            # Without a number it would unpack all that there is, and only then look at how much was said.
            return file.read(item.file_size)
    except _DAMAGE as error:
        raise Malformed(f"{item.filename} is damaged: {error}", field=name) from None


def _record(archive: zipfile.ZipFile, name: str) -> dict[str, tuple[str, str]]:
    """Digest and size of each file, as the wheel says them."""
    found = [n for n in archive.namelist() if n.endswith(".dist-info/RECORD") and n.count("/") == 1]
    if len(found) != 1:
        raise Malformed("has no RECORD of its own", field=name)
    text = read(archive, archive.getinfo(found[0]), name).decode("utf-8", "replace")
    try:
        rows = [row for row in csv.reader(text.splitlines()) if len(row) == 3]
    except csv.Error as error:
        raise Malformed(f"has a damaged RECORD: {error}", field=name) from None
    said: dict[str, tuple[str, str]] = {}
    for path, digest, size in rows:
        if said.setdefault(path, (digest, size)) != (digest, size):
            raise Malformed(f"has a RECORD that says two things of {path}", field=name)
    return said


def _compare(data: bytes, said: tuple[str, str], path: str, name: str) -> None:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    if said[0] != f"sha256={digest}":
        raise Malformed(f"{path} has another content than RECORD says", field=name)
    if said[1] not in ("", str(len(data))):
        raise Malformed(f"{path} has {len(data)} bytes, and RECORD says {said[1]:.20}", field=name)
