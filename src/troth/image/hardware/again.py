"""Is a file the hardware kernel, or said to be it; and where it is another one than is built here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from troth.errors import Malformed
from troth.image import compare
from troth.image.compare import Difference
from troth.image.files import disk
from troth.image.hardware import options
from troth.image.hardware.inputs import inputs
from troth.image.store import digest
from troth.wire import eif

MOST: Final = 128 << 20
CONFIG: Final = ".config"
"""What `troth kernel build -o FILE` writes beside it ends so."""
_MOST_CONFIG: Final = 4 << 20
_BOOT: Final = (0x202, b"HdrS")
_VERSION: Final = 0x20E  # where Linux's boot header says where its version stands


def is_kernel(data: bytes | memoryview) -> bool:
    """Whether these bytes begin as a bzImage of Linux does."""
    at, magic = _BOOT
    return bytes(data[at : at + len(magic)]) == magic and bytes(data[:4]) != eif.MAGIC


def claimed(path: Path, data: bytes) -> bool:
    """Whether a kernel is ours by its digest, or says that it is: by its version, or the configuration beside it.

    Raises:
        Unavailable: the disk refuses.
    """
    pinned = inputs().kernel
    if digest(data) == pinned.sha256 or version(data) == pinned.version:
        return True
    found = config(path)
    return found is not None and digest(options.canonical(found)) == pinned.config_sha256


def version(data: bytes) -> str:
    """What a kernel calls itself, up to the first space; empty where it does not."""
    return named(data).partition(" ")[0]


def named(data: bytes) -> str:
    """All that a kernel says of its version and its making; empty where it does not."""
    if not is_kernel(data):
        return ""
    at = int.from_bytes(data[_VERSION : _VERSION + 2], "little") + 0x200
    return data[at : at + 200].partition(b"\0")[0].decode("latin-1")


def config(path: Path) -> bytes | None:
    """The configuration beside a kernel, or None.

    Raises:
        Malformed: it is larger than any.
        Unavailable: the disk refuses.
    """
    beside = path.with_name(path.name + CONFIG)
    with disk(f"reading {beside.name}"):
        if not beside.is_file():
            return None
        if beside.stat().st_size > _MOST_CONFIG:
            raise Malformed(f"is larger than {_MOST_CONFIG >> 20} MiB", field=beside.name)
        return beside.read_bytes()


def differences(path: Path, data: bytes, *, image: bytes, built: bytes) -> Iterator[Difference]:
    """Where a kernel, or the configuration beside it, is another one than was built.

    Args:
        path: of the kernel.
        data: its bytes.
        image: of the kernel that was built.
        built: its configuration.
    """
    found = compare.content("kernel", "", data, image)
    if found is not None:
        yield found
    beside = config(path)
    if beside is not None:
        mine, theirs = options.settings(beside), options.settings(built)
        for name in sorted(n for n in {*mine, *theirs} if mine.get(n) != theirs.get(n)):
            yield Difference(
                section="configuration",
                path=f"CONFIG_{name}",
                what="value",
                first=mine.get(name, options.OFF),
                second=theirs.get(name, options.OFF),
            )
