"""Two images side by side: something is told exactly where bytes differ, and the same from either side."""

import zlib
from collections.abc import Iterable
from functools import cache
from stat import S_IFDIR, S_IFLNK, S_IFREG

from fuzz.target import Target, must, same
from troth.image.compare import Difference, compare
from troth.wire import cpio, eif
from troth.wire.eif import Eif, Kind, Section

_CRC = slice(0x220, 0x224)
_MOST = 1 << 20


def _run(data: bytes) -> None:
    if len(data) >= _CRC.stop:
        crc = zlib.crc32(data[_CRC.stop :], zlib.crc32(data[: _CRC.start]))
        data = data[: _CRC.start] + crc.to_bytes(4, "big") + data[_CRC.stop :]
    one, other = eif.read(data), _other()
    found = compare(one, other, most=_MOST)
    back = compare(other, one, most=_MOST)
    must(
        bool(found.differences) == (data != _packed()), "what differs is not told, or what does not"
    )
    turned = sorted(map(_key, back.differences))
    same(
        sorted((s, p, w, b, a) for s, p, w, a, b in map(_key, found.differences)), turned, "turned"
    )
    for difference in found.differences:
        must(len(difference.words()) < 16 * 1024, "words without end")


def _key(one: Difference) -> tuple[str, str, str, str, str]:
    return (one.section, one.path, one.what, one.first or "\0", one.second or "\0")


@cache
def _other() -> Eif:
    return eif.read(_packed())


@cache
def _packed() -> bytes:
    return next(iter(_seeds()))


@cache
def _seeds() -> Iterable[bytes]:
    file, folder, link = S_IFREG | 0o644, S_IFDIR | 0o755, S_IFLNK | 0o777
    entries = (
        cpio.Entry(path="d", mode=folder),
        cpio.Entry(path="d/a", mode=file, data=b"x = 1\ny = 2\n"),
        cpio.Entry(path="l", mode=link, data=b"d/a"),
    )
    sections = (
        Section(kind=Kind.KERNEL, pieces=(b"kernel",)),
        Section(kind=Kind.COMMAND_LINE, pieces=(b"console=ttyS0",)),
        Section(kind=Kind.METADATA, pieces=(b'{"a":{"b":[1,"c"]}}',)),
        Section(kind=Kind.RAMDISK, pieces=cpio.pack(entries[:2])),
        Section(kind=Kind.RAMDISK, pieces=cpio.pack((entries[2],))),
    )
    signed = (*sections, Section(kind=Kind.SIGNATURE, pieces=(b"signed",)))
    return tuple(
        eif.pack(Eif(sections=part, default_cpus=2)) for part in (sections, signed, sections[:4])
    )


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=4096,
    words=(b"070701", b"TRAILER!!!", b'{"a":', b"\x1f\x8b\x08"),
)
