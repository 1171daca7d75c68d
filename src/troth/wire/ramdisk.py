"""A ramdisk: a cpio archive, as it is or compressed with gzip (RFC 1952), as kernels unpack both.

A compressed one may have zero bytes behind it, up to a multiple of four, at which the next one begins.
Linux knows of gzip's header a name and nothing more: the other parts that it may have would be, for a
kernel, the beginning of the compressed data, and so another archive than the one that is read here.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from troth.errors import Malformed
from troth.wire import cpio

MAX_UNPACKED: Final = 1 << 30
MAX_TOGETHER: Final = 4 << 30
"""Bytes of all files of an image, as many as one is built with."""
ALIGNMENT: Final = 4
_MAGIC: Final = b"\x1f\x8b"
_GZIP: Final = 31  # zlib: a window of 32 KiB, and gzip around it
_FLAGS: Final = 3  # offset
_KNOWN: Final = 0x09  # that it is text, and a name


def read(
    data: bytes | memoryview, *, devices: frozenset[str] = frozenset(), base: int = 0
) -> tuple[cpio.Entry, ...]:
    """The entries of a ramdisk.

    Args:
        data: the whole of it.
        devices: paths at which a character device is taken.
        base: offset of the ramdisk in its file, for errors; inside a compressed one they count from
            the beginning of the archive.

    Raises:
        Malformed: it is neither an archive that is read here nor one compressed; it would be larger
            than `MAX_UNPACKED`; something is behind it.
    """
    unpacked = plain(data, base=base)
    return cpio.read(unpacked, devices=devices, base=base if unpacked is data else 0)


def read_all(
    disks: Iterable[tuple[bytes | memoryview, int]], *, devices: frozenset[str] = frozenset()
) -> Iterator[tuple[cpio.Entry, ...]]:
    """The entries of each of an image's ramdisks: thirty of them are bounded together.

    Args:
        disks: each with its offset in the file.
        devices: as for `read`.

    Raises:
        Malformed: as `read`; or they have more than `MAX_TOGETHER` bytes of files, or more files than
            one may have.
    """
    left, names = MAX_TOGETHER, cpio.MAX_ENTRIES
    for data, base in disks:
        entries = read(data, devices=devices, base=base)
        left -= sum(len(entry.data) for entry in entries)
        names -= len(entries)
        if names < 0:
            raise Malformed(
                f"have more than {cpio.MAX_ENTRIES} entries", field="ramdisks", offset=base
            )
        if left < 0:
            raise Malformed(
                f"unpack to more than {MAX_TOGETHER >> 30} GiB", field="ramdisks", offset=base
            )
        yield entries


def plain(data: bytes | memoryview, *, base: int = 0) -> bytes | memoryview:
    """The archive without compression.

    Raises:
        Malformed: it is compressed, and damaged, cut short, larger than `MAX_UNPACKED`, not alone, or has
            a header that a kernel would not skip.
    """
    if bytes(data[:2]) != _MAGIC:
        return data
    if any(flags & ~_KNOWN for flags in bytes(data[_FLAGS : _FLAGS + 1])):
        raise Malformed(
            "has a gzip header that kernels read otherwise", field="ramdisk", offset=base + _FLAGS
        )
    tool = zlib.decompressobj(_GZIP)
    try:
        unpacked = tool.decompress(data, MAX_UNPACKED)
    except zlib.error as error:
        raise Malformed(f"is damaged: {error}", field="ramdisk", offset=base) from None
    if not tool.eof:
        short = len(unpacked) < MAX_UNPACKED
        wrong = "is cut short" if short else f"unpacks to more than {MAX_UNPACKED} bytes"
        raise Malformed(wrong, field="ramdisk", offset=base)
    rest = tool.unused_data
    if rest.strip(b"\0") or len(rest) >= ALIGNMENT:
        raise Malformed(
            "has other bytes behind it", field="ramdisk", offset=base + len(data) - len(rest)
        )
    return unpacked


def padded(pieces: Sequence[bytes | memoryview]) -> bytes:
    """A compressed archive, joined, with zero bytes up to where the next one may begin."""
    return b"".join([*pieces, bytes(-sum(map(len, pieces)) % ALIGNMENT)])
