"""Writing and measuring an image against one pass of SHA-384 over its bytes, and the memory it takes."""

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_IFDIR, S_IFREG

from bench.timing import Line, peak

from troth.platforms.nitro.measure import measure
from troth.wire import cpio, eif

KERNEL = 12 << 20
BOOT = 24 << 20
SYSTEM = 60 << 20
ROUNDS = 5


def _tree(size: int, seed: int) -> list[cpio.Entry]:
    """Files of the sizes that a root filesystem has: many small ones, a few large."""
    source = random.Random(seed)  # noqa: S311 - the same tree each time, not a secret
    entries = [cpio.Entry(path="usr", mode=S_IFDIR | 0o755)]
    while size > 0:
        length = min(size, int(source.paretovariate(0.9) * 2000), 8 << 20)
        name = f"usr/{len(entries):06d}"
        entries.append(cpio.Entry(path=name, mode=S_IFREG | 0o644, data=source.randbytes(length)))
        size -= length
    return entries


def _write(trees: list[list[cpio.Entry]], kernel: bytes, out: Path) -> str:
    image = eif.Eif(
        sections=(
            eif.Section(kind=eif.Kind.KERNEL, pieces=(kernel,)),
            eif.Section(kind=eif.Kind.COMMAND_LINE, pieces=(b"reboot=k panic=30",)),
            eif.Section(kind=eif.Kind.METADATA, pieces=(b"{}",)),
            *(eif.Section(kind=eif.Kind.RAMDISK, pieces=cpio.pack(tree)) for tree in trees),
        )
    )
    with ThreadPoolExecutor(max_workers=1) as beside, out.open("wb") as file:
        registers = beside.submit(measure, image)
        eif.write(file, image)
        return registers.result().pcr0.hex()


def _inputs() -> tuple[list[list[cpio.Entry]], bytes]:
    return [_tree(BOOT, 1), _tree(SYSTEM, 2)], random.Random(0).randbytes(KERNEL)  # noqa: S311


def writing() -> list[Line]:
    """Time as a share of one hash pass, memory as a multiple of the image."""
    trees, kernel = _inputs()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "image.eif")
        written = bare = float("inf")
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            _write(trees, kernel, out)
            written = min(written, time.perf_counter() - begin)
            data = out.read_bytes()
            begin = time.perf_counter()
            hashlib.sha384(data).digest()
            bare = min(bare, time.perf_counter() - begin)
    done = subprocess.run(
        [sys.executable, "-m", "bench.image"], capture_output=True, text=True, check=True
    )
    memory, size = (int(word) for word in done.stdout.split())
    return [
        Line("one SHA-384 pass", bare, "writing and measuring", written, 0.5, at_least=True),
        Line("peak memory", memory, "the image", size, 2.0, unit="bytes"),
    ]


def _alone() -> None:
    """In a process of its own: the ready tree counts as part of the image it becomes."""
    before = peak()
    trees, kernel = _inputs()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "image.eif")
        _write(trees, kernel, out)
        print(peak() - before, out.stat().st_size)


if __name__ == "__main__":
    _alone()
