"""Two archives or compressed files: which member differs, and in what."""

import bz2
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from troth.errors import Malformed
from troth.image import unpack_wheel
from troth.image.compare import instant
from troth.image.explain.causes import COMPRESSOR, FILES, MODE, ORDER, OWNER, TIME, Cause
from troth.image.explain.told import Told, short
from troth.wire.reader import Reader

MOST: Final = 64 << 20
"""Bytes of one member, or of one file unpacked; what is larger is told of as bytes."""
_MOST_MEMBERS: Final = 20_000
_TOLD: Final = 5
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999, the last that a date has

Inner = Callable[[str, bytes, bytes], Told]
Fields = dict[str, tuple[Any, Cause | None]]


def zips(a: bytes, b: bytes, inner: Inner) -> Told | None:
    """Two zip archives: wheels, eggs, jars."""
    try:
        (first, mine_listed), (second, theirs_listed) = (
            unpack_wheel.opened(x, "zip") for x in (a, b)
        )
        lists = [mine_listed, theirs_listed]
        if max(map(len, lists)) > _MOST_MEMBERS:
            return None
        mine, theirs = ({item.filename: _of_zip(item) for item in members} for members in lists)
        readers = [lambda name, z=archive: _bounded(z.open(name)) for archive in (first, second)]
        found = _members(mine, theirs, readers, inner=inner)
    except Exception:  # noqa: BLE001 - of hostile bytes the libraries raise more than they say
        return None
    order = [[item.filename for item in members] for members in lists]
    return _told("zip archive", found, order)


def tars(a: bytes, b: bytes, inner: Inner) -> Told | None:
    """Two tar archives."""
    try:
        archives = [tarfile.open(fileobj=io.BytesIO(x), mode="r:") for x in (a, b)]  # noqa: SIM115
        lists = [_listed(archive) for archive in archives]
        mine, theirs = ({item.name: _of_tar(item) for item in members} for members in lists)
        readers = [lambda name, t=archive: _of_member(t, name) for archive in archives]
        found = _members(mine, theirs, readers, inner=inner)
    except Exception:  # noqa: BLE001 - of hostile bytes the libraries raise more than they say
        return None
    return _told("tar archive", found, [[item.name for item in members] for members in lists])


def compressed(kind: str, a: bytes, b: bytes, inner: Inner) -> Told | None:
    """Two files that a compressor wrote: of gzip the header too."""
    told: list[str] = []
    cause: Cause | None = None
    if kind == "gzip":
        cause = _gzip(a, b, told)
    try:
        contents = [_unpacked(kind, x) for x in (a, b)]
    except Exception:  # noqa: BLE001 - as above
        return Told(kind=kind, told=tuple(told), cause=cause) if told else None
    if contents[0] == contents[1]:
        told.append("what is packed in it is the same")
        return Told(kind=kind, told=tuple(told), cause=cause or COMPRESSOR)
    below = inner("", *contents)
    words = tuple(f"unpacked: {text}" for text in below.told or ("it is other content",))
    return Told(kind=kind, told=(*told, *words), cause=below.cause or cause)


def _gzip(a: bytes, b: bytes, told: list[str]) -> Cause | None:
    """What two headers say; the first cause."""
    heads = []
    for data in (a, b):
        try:
            reader = Reader(data, at=3)
            flags, time = reader.uint(1, "flags"), reader.uint(4, "mtime", "little")
            extra, system = reader.uint(1, "xfl"), reader.uint(1, "os")
        except Malformed:
            return None
        name = data[10:300].partition(b"\0")[0].decode("latin-1") if flags & 0x0C == 0x08 else ""
        heads.append((time, name, extra, system))
    (time, name, *rest), (other_time, other_name, *other) = heads
    if time != other_time:
        told.append(f"the header's time is {instant(time)} and {instant(other_time)}")
    if name != other_name:
        told.append(
            f"the header names {short(name) or 'no file'} and {short(other_name) or 'no file'}"
        )
    if rest != other:
        told.append(
            f"the header's level and system are {rest[0]}, {rest[1]} and {other[0]}, {other[1]}"
        )
    if time != other_time or name != other_name:
        return TIME
    return COMPRESSOR if rest != other else None


def _unpacked(kind: str, data: bytes) -> bytes:
    """All of it, if that is not too much."""
    tool: Any
    match kind:
        case "gzip":
            tool = zlib.decompressobj(wbits=31)
        case "xz":
            tool = lzma.LZMADecompressor(memlimit=MOST * 2)
        case _:
            tool = bz2.BZ2Decompressor()
    found = bytes(tool.decompress(data, MOST))
    if not tool.eof:
        raise Malformed("is larger, or ends early", field=kind)
    return found


def _of_zip(item: zipfile.ZipInfo) -> Fields:
    return {
        "time": ("{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*item.date_time), TIME),
        "mode": (f"{item.external_attr >> 16:06o}", MODE),
        "size": (item.file_size, None),
        "content": (item.CRC, None),
        "system": (item.create_system, COMPRESSOR),
        "compression": (item.compress_type, COMPRESSOR),
        "packed size": (item.compress_size, COMPRESSOR),
        "extra fields": (item.extra.hex(), TIME),
    }


def _of_tar(item: tarfile.TarInfo) -> Fields:
    return {
        "time": (instant(max(0, min(int(item.mtime), _LAST_SECOND))), TIME),
        "mode": (f"{item.mode:06o}", MODE),
        "owner": (f"{item.uid}:{item.gid} {item.uname}:{item.gname}", OWNER),
        "kind": (item.type, None),
        "target": (item.linkname, None),
        "size": (item.size, None),
        "content": (None, None),
    }


def _listed(archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    found = []
    for item in archive:
        found.append(item)
        if len(found) > _MOST_MEMBERS:
            raise ValueError
    return found


def _of_member(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.getmember(name)
    stream = archive.extractfile(member) if member.isreg() and not member.sparse else None
    return b"" if stream is None else _bounded(stream)


def _bounded(stream: Any) -> bytes:
    with stream:
        data = bytes(stream.read(MOST + 1))
    if len(data) > MOST:
        raise ValueError
    return data


def _members(
    mine: dict[str, Fields],
    theirs: dict[str, Fields],
    readers: Sequence[Callable[[str], bytes]],
    *,
    inner: Inner,
) -> list[tuple[str, Cause | None]]:
    """What differs, a sentence each with its cause."""
    found: list[tuple[str, Cause | None]] = []
    for name in sorted({*mine, *theirs}):
        if len(found) >= _TOLD:
            break
        a, b = mine.get(name), theirs.get(name)
        shown = f"member {short(name)}"
        if a is None or b is None:
            found.append((f"{shown}: only in the {'second' if a is None else 'first'}", FILES))
            continue
        for field, (value, cause) in a.items():
            other = b[field][0]
            if field == "content":
                if value is not None and value == other:  # the checksum of both
                    continue
                one, two = (read(name) for read in readers)
                if one != two:
                    below = inner(name, one, two)
                    words = below.told[0] if below.told else f"{len(one)} and {len(two)} bytes"
                    found.append((f"{shown}: content: {short(words, 300)}", below.cause))
            elif value != other:
                found.append(
                    (f"{shown}: {field}: {short(str(value))} and {short(str(other))}", cause)
                )
    return found


def _told(kind: str, found: list[tuple[str, Cause | None]], order: list[list[str]]) -> Told:
    if not found and order[0] != order[1]:
        found = [("the same members in another order", ORDER)]
    told = tuple(words for words, _ in found) or ("the same members, packed in another way",)
    cause = next((cause for _, cause in found if cause), None)
    return Told(kind=kind, told=told, cause=cause or (None if found else COMPRESSOR))
