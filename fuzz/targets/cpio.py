"""Archives of an image's files."""

from collections.abc import Iterable
from stat import S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG

from fuzz.target import Target, same
from troth.wire import cpio
from troth.wire.cpio import Entry

_DEVICES = frozenset({"dev/console"})


def _run(data: bytes) -> None:
    found = cpio.read(data, devices=_DEVICES)
    written = b"".join(cpio.pack(found))
    ordered = sorted(found, key=lambda entry: entry.path.encode())
    again = cpio.read(written, devices=_DEVICES)
    same([_plain(e) for e in again], [_plain(e) for e in ordered], "an archive written again")


def _plain(entry: Entry) -> tuple[object, ...]:
    return entry.path, entry.mode, bytes(entry.data), entry.device


def _seeds() -> Iterable[bytes]:
    yield b"".join(cpio.pack([]))
    yield b"".join(
        cpio.pack(
            [
                Entry(path="dev", mode=S_IFDIR | 0o755),
                Entry(path="dev/console", mode=S_IFCHR | 0o600, device=(5, 1)),
                Entry(path="dev/é", mode=S_IFREG | 0o644, data=b"text"),
                Entry(path="init", mode=S_IFLNK | 0o777, data=b"dev/console"),
            ]
        )
    )


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=4096,
    words=(b"070701", b"TRAILER!!!\0", b"../", b"//", b"00000000"),
)
