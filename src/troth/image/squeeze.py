"""Compresses ramdisks with the image's own locked interpreter.

Compressors of different versions give different bytes, and a Python may have any of them built in. The
locked one has the locked zlib.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from troth.image import interpreter as locked
from troth.image.files import disk
from troth.image.tree import Tree
from troth.wire import ramdisk

_WORKER: Final = Path(__file__).with_name("squeeze_worker.py")


def squeeze(
    archives: Sequence[Sequence[bytes | memoryview]], *, interpreter: Tree, python: str
) -> list[bytes]:
    """Each archive, compressed with gzip.

    Args:
        archives: each in pieces.
        interpreter: holds the interpreter.
        python: such as `3.13`.

    Raises:
        Unavailable: the interpreter does not run on this machine, or the disk is full.
        Misuse: there is none.
    """
    with disk("compressing"), TemporaryDirectory(prefix="troth-squeeze-") as place:
        root = Path(place)
        locked.unpack(interpreter, root, python=python)
        jobs = []
        for number, pieces in enumerate(archives):
            source, target = root / f"{number}.cpio", root / f"{number}.gz"
            with source.open("wb") as out:
                out.writelines(pieces)
            jobs.append((str(source), str(target)))
        locked.run(_WORKER, jobs, root=root, python=python)
        return [ramdisk.padded(Path(target).read_bytes()) for _, target in jobs]
