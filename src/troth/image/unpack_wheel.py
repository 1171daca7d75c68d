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
from typing import Final

from troth.errors import Malformed

MAX_UNPACKED: Final = 512 * 1024 * 1024
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
    try:
        archive = zipfile.ZipFile(io.BytesIO(wheel))
        listed = archive.infolist()
    except _DAMAGE as error:
        raise Malformed(f"is no wheel: {error}", field=name) from None
    if sum(item.file_size for item in listed) > MAX_UNPACKED:
        raise Malformed("is too large unpacked", field=name)
    if len({item.filename for item in listed}) != len(listed):
        raise Malformed("holds one name twice", field=name)
    record = _record(archive, name)
    for item in sorted(listed, key=lambda entry: entry.filename):
        path = item.filename
        parts = path.split("/")
        if path.endswith("/"):
            continue
        if path.startswith("/") or ".." in parts or "" in parts or "\\" in path:
            raise Malformed(f"holds the path {path!r}", field=name)
        data = _read(archive, item, name)
        if not path.endswith(
            (".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")
        ):
            _compare(data, record.get(path, ""), path, name)
        place = _place(parts)
        if place:
            yield place, data


def _place(parts: list[str]) -> str:
    """Where a file goes, or an empty text if it is left out."""
    if not parts[0].endswith(".data"):
        return "/".join(parts)
    return "/".join(parts[2:]) if parts[1:2] in (["purelib"], ["platlib"]) else ""


def _read(archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str) -> bytes:
    try:
        return archive.read(item)
    except _DAMAGE as error:
        raise Malformed(f"{item.filename} is damaged: {error}", field=name) from None


def _record(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    found = [n for n in archive.namelist() if n.endswith(".dist-info/RECORD") and n.count("/") == 1]
    if len(found) != 1:
        raise Malformed("has no RECORD of its own", field=name)
    text = _read(archive, archive.getinfo(found[0]), name).decode("utf-8", "replace")
    try:
        return {row[0]: row[1] for row in csv.reader(text.splitlines()) if len(row) == 3}
    except csv.Error as error:
        raise Malformed(f"has a damaged RECORD: {error}", field=name) from None


def _compare(data: bytes, said: str, path: str, name: str) -> None:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    if said != f"sha256={digest}":
        raise Malformed(f"{path} has another content than RECORD says", field=name)
