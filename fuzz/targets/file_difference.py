"""Two contents of one file, explained: bytecode, archives and compressed files; whatever they hold, in bounds."""

import bz2
import gzip
import importlib.util
import io
import lzma
import marshal
import tarfile
import zipfile
from collections.abc import Iterable
from functools import cache

from fuzz.target import Target, must
from troth.image.explain import contents

_MOST_TOLD = 50
_LONGEST = 2000


def _run(data: bytes) -> None:
    for name, seed in _others():
        told = contents(name, seed, data)
        must(len(told.told) <= _MOST_TOLD, "more is told than anybody reads")
        must(all(len(text) < _LONGEST for text in told.told), "words without end")


@cache
def _others() -> tuple[tuple[str, bytes], ...]:
    """One of each form, under a name that says which."""
    names = ("x.pyc", "x.zip", "x.tar", "x.gz", "x.xz", "x.bz2", "x.py")
    return tuple(zip(names, _seeds(), strict=True))


@cache
def _seeds() -> Iterable[bytes]:
    text = b"def f(a, b=(1, 2.5, 'x', b'y')):\n    return {a: b} if a in {'p', 'q'} else [f, 1 << 99]\n"
    code = marshal.dumps(compile(text, "/app/x.py", "exec", dont_inherit=True))
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a", (1980, 1, 1, 0, 0, 0)), text)
    with tarfile.open(fileobj=tarred, mode="w", format=tarfile.GNU_FORMAT) as tar:
        item = tarfile.TarInfo("a")
        item.size = len(text)
        tar.addfile(item, io.BytesIO(text))
    return (
        importlib.util.MAGIC_NUMBER + b"\1" + bytes(11) + code,
        zipped.getvalue(),
        tarred.getvalue(),
        gzip.compress(text, mtime=1),
        lzma.compress(text),
        bz2.compress(text),
        text,
    )


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=12 * 1024,
    words=(b"PK\3\4", b"PK\1\2", b"ustar", b"\xe3", b"\xa9\2", b"r\0\0\0\0", b"\x7fELF\2\1"),
)
