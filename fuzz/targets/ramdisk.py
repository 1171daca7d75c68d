"""Ramdisks, compressed or not: what is read of one is what is read of its archive."""

import gzip
from collections.abc import Iterable
from stat import S_IFLNK, S_IFREG

from fuzz.target import Target, same
from troth.wire import cpio, ramdisk
from troth.wire.cpio import Entry


def _run(data: bytes) -> None:
    found = ramdisk.read(data)
    written = b"".join(cpio.pack(found))
    plain = ramdisk.read(written)
    packed = ramdisk.read(ramdisk.padded([gzip.compress(written, mtime=0)]))
    same([_seen(e) for e in packed], [_seen(e) for e in plain], "a ramdisk compressed")


def _seen(entry: Entry) -> tuple[object, ...]:
    return entry.path, entry.mode, bytes(entry.data)


def _seeds() -> Iterable[bytes]:
    some = [
        Entry(path="a", mode=S_IFREG | 0o644, data=b"text" * 20),
        Entry(path="init", mode=S_IFLNK | 0o777, data=b"a"),
    ]
    for entries in ([], some):
        archive = b"".join(cpio.pack(entries))
        yield archive
        yield ramdisk.padded([gzip.compress(archive, mtime=0)])
        yield gzip.compress(archive, compresslevel=0, mtime=0)


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=4096,
    words=(b"\x1f\x8b\x08", b"070701", b"TRAILER!!!\0", b"\0\0\0\0"),
)
