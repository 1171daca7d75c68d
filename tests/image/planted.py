"""Packages with one file changed, as a builder has them who took another one."""

import base64
import hashlib
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable

from tests.image.made import ar

from troth.wire.reader import Reader

Change = Callable[[bytes], bytes]


def deb(data: bytes, path: str, change: Change) -> bytes:
    """The package with one file's content changed."""
    parts = []
    for name, content in _parts(data):
        packed = name.startswith("data.tar")
        parts.append((name, _packed(content, path, change) if packed else content))
    return ar(*parts)


def _parts(data: bytes) -> list[tuple[str, bytes]]:
    reader = Reader(data, at=8)
    found = []
    while reader.remaining:
        head = reader.take(60, "head")
        size = int(head[48:58])
        found.append((head[:16].decode().strip().rstrip("/"), reader.take(size, "part")))
        reader.take(size % 2, "padding")
    return found


def _packed(data: bytes, path: str, change: Change) -> bytes:
    return lzma.compress(_tar(lzma.decompress(data), path, change), preset=0)


def _tar(data: bytes, path: str, change: Change) -> bytes:
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(data)) as archive,
        tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as other,
    ):
        for item in archive:
            stream = archive.extractfile(item) if item.isreg() else None
            content = b"" if stream is None else stream.read()
            if item.name.removeprefix("./") == path:
                content = change(content)
                item.size = len(content)
            other.addfile(item, io.BytesIO(content))
    return out.getvalue()


def wheel(data: bytes, path: str, change: Change) -> bytes:
    """The wheel with one file's content changed, and a RECORD that says so."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w") as other:
        changed = change(archive.read(path))
        for item in archive.infolist():
            content = archive.read(item)
            if item.filename == path:
                content = changed
            elif item.filename.endswith(".dist-info/RECORD"):
                content = _record(content, path, changed)
            other.writestr(item, content)
    return out.getvalue()


def _record(text: bytes, path: str, data: bytes) -> bytes:
    named = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    rows = []
    for row in text.splitlines():
        its = row.startswith(path.encode() + b",")
        rows.append(b"%s,sha256=%s,%d" % (path.encode(), named, len(data)) if its else row)
    return b"\n".join(rows) + b"\n"
