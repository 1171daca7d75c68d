"""Packages, wheels and ELF files made on the spot, from nothing but their formats' descriptions."""

import base64
import hashlib
import io
import lzma
import struct
import tarfile
import zipfile

from troth.image.lock import Deb, Lock, Wheel, pinned_keys
from troth.image.recipe import Recipe

INFO = "pkg-1.0.dist-info"


def row(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def wheel(files: dict[str, bytes], record: str | None = None) -> bytes:
    rows = "".join(row(path, data) for path, data in files.items())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(
            f"{INFO}/RECORD", rows + f"{INFO}/RECORD,,\n" if record is None else record
        )
    return out.getvalue()


def member(path: str, data: bytes = b"", *, mode: int = 0o644, **fields: object) -> tarfile.TarInfo:
    """One member of a tar archive, its data in the attribute `content`."""
    item = tarfile.TarInfo(path)
    item.size, item.mode = len(data), mode
    for name, value in fields.items():
        setattr(item, name, value)
    item.pax_headers = {"content": data.hex()}
    return item


def tar(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for item in members:
            data = bytes.fromhex(item.pax_headers.pop("content"))
            archive.addfile(item, io.BytesIO(data))
    return out.getvalue()


def ar(*parts: tuple[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in parts:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        out += data + bytes(b"\n" * (len(data) % 2))
    return out


def package(*members: tarfile.TarInfo) -> bytes:
    """A Debian package that installs these."""
    data = lzma.compress(tar(*members))
    return ar(("debian-binary", b"2.0\n"), ("control.tar.xz", b"never read"), ("data.tar.xz", data))


def library(
    needed: tuple[str, ...] = (), *, runpath: str = "", interpreter: str = "", soname: str = "x"
) -> bytes:
    """A small ELF file with what the loader reads, and no code."""
    names = [*needed, runpath, interpreter, soname]
    strings, at = b"\0", {}
    for name in names:
        at[name] = len(strings)
        strings += name.encode() + b"\0"
    tags = [(1, at[name]) for name in needed]
    if runpath:
        tags.append((29, at[runpath]))
    base, count = 0x1000, 3 if interpreter else 2
    begin = 64 + 56 * count
    size = 16 * (len(tags) + 2)
    tags += [(5, base + begin + size), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    total = begin + size + len(strings)

    def segment(kind: int, offset: int, length: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, 4, offset, base + offset, 0, length, length, 8)

    rows = segment(1, 0, total) + segment(2, begin, size)
    if interpreter:
        rows += segment(3, begin + size + at[interpreter], len(interpreter) + 1)
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, count, 64, 0, 0)
    return head + rows + dynamic + strings


def lock(recipe: Recipe, *, deb: bytes, wheel: str = "", version: str = "1") -> Lock:
    """A lock that fits a recipe and names one package, and one wheel that nobody has.

    Args:
        recipe: the app's.
        deb: the bytes of the package.
        wheel: name of the wheel, or an empty text for none.
        version: of the package; a long one makes a long lock.
    """
    digest = hashlib.sha256(deb).hexdigest()
    kernel = Deb(
        name="only", version=version, archive="debian", path=f"pool/{digest}.deb",
        size=len(deb), sha256=digest,
    )  # fmt: skip
    file = f"{wheel}-1-py3-none-any.whl"
    absent = Wheel(name=wheel, version="1", file=file, size=1, sha256="0" * 64)
    return Lock(
        suite=recipe.suite, keys=pinned_keys(recipe.suite), recipe=recipe.pinned(), debs=(),
        kernel=kernel, wheels=(absent,) if wheel else (), agent_wheels=(),
    )  # fmt: skip
