"""Compresses ramdisks with the image's own locked interpreter.

Compressors of different versions give different bytes, and a Python may have any of them built in. The
locked one has the locked zlib.

An archive is compressed in chunks that know nothing of each other, and they are put into one gzip member
(RFC 1952): the two cores of a laptop share them, and an edit leaves most of them as they were.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from troth.image.files import disk
from troth.image.interpreter import Interpreter
from troth.image.memo import Memo, recall
from troth.wire import ramdisk

_WORKER: Final = Path(__file__).with_name("squeeze_worker.py")
# Deflate, without flags, name and time, made by Linux.
_HEAD: Final = bytes.fromhex("1f8b 08 00 00000000 00 03")
# The last block of all, which is empty: each chunk ends where a byte does, and with none that is last.
_LAST: Final = bytes.fromhex("0300")
_ENTRIES: Final = 64  # on average in a chunk

Pieces = Sequence[bytes | memoryview]
Chunks = Sequence[Pieces]


def begins(path: str) -> bool:
    """Whether a chunk begins at this name: asked of the path alone, so that edits move no border."""
    return "/" not in path or zlib.crc32(path.encode("utf-8")) % _ENTRIES == 0


def squeeze(
    archives: Sequence[Chunks], *, interpreter: Interpreter, memo: Memo | None = None
) -> list[bytes]:
    """Each archive, compressed with gzip.

    Args:
        archives: each in chunks, which are in pieces.
        interpreter: the image's.
        memo: remembers chunks.

    Raises:
        Unavailable: the interpreter does not run on this machine, or the disk is full.
    """
    chunks = [chunk for archive in archives for chunk in archive]

    def make(missing: Sequence[int]) -> list[list[bytes]]:
        return [[part] for part in _deflated([chunks[number] for number in missing], interpreter)]

    identity = b"" if memo is None else interpreter.identity
    tasks = [(identity, *chunk) for chunk in chunks]
    deflated = iter(recall(memo, "deflate", tasks, make))
    return [_member(archive, [bytes(*next(deflated)) for _ in archive]) for archive in archives]


def _deflated(chunks: Chunks, interpreter: Interpreter) -> list[bytes]:
    with disk("compressing"), TemporaryDirectory(prefix="squeeze-", dir=interpreter.root) as name:
        jobs = []
        for number, pieces in enumerate(chunks):
            source, target = Path(name, f"{number}.cpio"), Path(name, f"{number}.deflated")
            with source.open("wb") as out:
                out.writelines(pieces)
            jobs.append((str(source), str(target)))
        interpreter.run(_WORKER, jobs)
        return [Path(target).read_bytes() for _, target in jobs]


def _member(archive: Chunks, deflated: Sequence[bytes]) -> bytes:
    """One member of gzip: what was deflated, between head and sums."""
    check = size = 0
    for pieces in archive:
        for piece in pieces:
            check = zlib.crc32(piece, check)
            size += len(piece)
    sums = check.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    return ramdisk.padded(b"".join([_HEAD, *deflated, _LAST, sums]))
