"""What `troth inspect` says of an image is what its bytes say."""

import hashlib
from stat import S_IFDIR, S_IFLNK, S_IFREG

import pytest

from troth.errors import Malformed
from troth.image import describe
from troth.wire import cpio, eif
from troth.wire.cpio import Entry
from troth.wire.eif import Eif, Kind, Section

DISK = cpio.pack([
    Entry(path="d", mode=S_IFDIR | 0o755),
    Entry(path="d/tool", mode=S_IFREG | 0o755, data=b"tool"),
    Entry(path="link", mode=S_IFLNK | 0o777, data=b"d/tool"),
])  # fmt: skip


def _data(disk: tuple[bytes | memoryview, ...] = DISK) -> bytes:
    return eif.pack(
        Eif(
            sections=(
                Section(kind=Kind.KERNEL, pieces=(b"ker", b"nel")),
                Section(kind=Kind.COMMAND_LINE, pieces=(b"line",)),
                Section(kind=Kind.METADATA, pieces=(b"{}",)),
                Section(kind=Kind.RAMDISK, pieces=disk),
            )
        )
    )


def test_sections() -> None:
    data = _data()
    rows = list(describe.sections(eif.read(data)))
    assert [row["kind"] for row in rows] == ["kernel", "command_line", "metadata", "ramdisk"]
    for row in rows:
        begin, size = int(row["offset"]), int(row["size"])
        part = data[begin : begin + size]
        assert row["sha384"] == hashlib.sha384(part).hexdigest()
    assert rows[0]["sha384"] == hashlib.sha384(b"kernel").hexdigest()


def test_files() -> None:
    assert list(describe.files(eif.read(_data()))) == [
        {
            "ramdisk": 0,
            "path": "/d/tool",
            "mode": "-rwxr-xr-x",
            "size": 4,
            "sha256": hashlib.sha256(b"tool").hexdigest(),
        },
        {"ramdisk": 0, "path": "/link", "mode": "lrwxrwxrwx", "size": 6, "target": "d/tool"},
    ]


def test_a_ramdisk_that_is_no_archive() -> None:
    image = eif.read(_data((b"junk",)))
    with pytest.raises(Malformed) as caught:
        list(describe.files(image))
    assert caught.value.offset == image.ramdisks[0].offset
