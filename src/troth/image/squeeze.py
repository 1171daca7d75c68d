"""Compresses ramdisks with the image's own locked interpreter.

Compressors of different versions give different bytes, and a Python may have any of them built in. The
locked one has the locked zlib.

An archive is compressed in chunks that know nothing of each other, and they are put into one gzip member
(RFC 1952): the two cores of a laptop share them, and an edit of a file leaves most of them as they were. One file
more or less does not: all that follow have other numbers.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from troth.image.files import disk
from troth.image.interpreter import Interpreter
from troth.image.memo import Memo, Parts, recall
from troth.wire import crc32, ramdisk
from troth.wire.cpio import Chunk

_WORKER: Final = Path(__file__).with_name("squeeze_worker.py")
# Deflate, without flags, name and time, made by Linux.
_HEAD: Final = bytes.fromhex("1f8b 08 00 00000000 00 03")
# The last block of all, which is empty: each chunk ends where a byte does, and with none that is last.
_LAST: Final = bytes.fromhex("0300")
_ENTRIES: Final = 64  # on average in a chunk


def begins(path: str) -> bool:
    """Whether a chunk begins at this name: asked of the path alone, so that edits move no border."""
    return "/" not in path or zlib.crc32(path.encode("utf-8")) % _ENTRIES == 0


def squeeze(
    archives: Sequence[Sequence[Chunk]], *, interpreter: Interpreter, memo: Memo | None = None
) -> list[bytes]:
    """Each archive, compressed with gzip.

    Args:
        archives: each in chunks, as `cpio.chunks` gives them.
        interpreter: the image's.
        memo: remembers chunks.

    Raises:
        Unavailable: the interpreter does not run on this machine, or the disk is full.
    """
    chunks = [chunk for archive in archives for chunk in archive]

    def make(missing: Sequence[int]) -> list[list[bytes]]:
        part = [chunks[number] for number in missing]
        return [[*_sums(c), d] for c, d in zip(part, _deflated(part, interpreter), strict=True)]

    identity = b"" if memo is None else interpreter.identity
    tasks = [(identity, *_content(chunk)) for chunk in chunks]
    deflated = iter(recall(memo, "deflate", tasks, make))
    return [_member([next(deflated) for _ in archive]) for archive in archives]


def _content(chunk: Chunk) -> Iterator[bytes | str]:
    """All that decides a chunk's bytes; of what a tree has by its digest nothing is hashed again."""
    yield f"{chunk.number} {chunk.last}"
    for entry in chunk.entries:
        yield f"{entry.mode} {entry.device} {entry.path}"
        yield entry.known or hashlib.sha256(entry.data).digest()


def _deflated(chunks: Sequence[Chunk], interpreter: Interpreter) -> list[bytes]:
    with disk("compressing"), TemporaryDirectory(prefix="squeeze-", dir=interpreter.root) as name:
        jobs = []
        for number, chunk in enumerate(chunks):
            source, target = Path(name, f"{number}.cpio"), Path(name, f"{number}.deflated")
            with source.open("wb") as out:
                out.writelines(chunk.pieces)
            jobs.append((str(source), str(target)))
        interpreter.run(_WORKER, jobs)
        return [Path(target).read_bytes() for _, target in jobs]


def _sums(chunk: Chunk) -> tuple[bytes, bytes]:
    """A chunk's CRC-32 and its size."""
    check = size = 0
    for piece in chunk.pieces:
        check = zlib.crc32(piece, check)
        size += len(piece)
    return check.to_bytes(4, "little"), size.to_bytes(8, "little")


def _member(deflated: Sequence[Parts]) -> bytes:
    """One member of gzip: what was deflated, between head and sums."""
    check = whole = 0
    for crc, length, _ in deflated:
        size = int.from_bytes(length, "little")
        check = crc32.joined(check, int.from_bytes(crc, "little"), size)
        whole += size
    sums = check.to_bytes(4, "little") + (whole & 0xFFFFFFFF).to_bytes(4, "little")
    return ramdisk.padded([_HEAD, *(data for _, _, data in deflated), _LAST, sums])
