"""cpio: one archive for one tree, and nothing that an unpacker could be led astray with."""

import hashlib
import shutil
import subprocess
from random import Random
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse
from troth.wire import cpio
from troth.wire.cpio import Entry

DIR, FILE, LINK = S_IFDIR | 0o755, S_IFREG | 0o644, S_IFLNK | 0o777
TREE = (
    Entry(path="usr", mode=DIR),
    Entry(path="usr/bin", mode=DIR),
    Entry(path="usr/bin/app", mode=S_IFREG | 0o755, data=b"#!/bin/app\n"),
    Entry(path="bin", mode=LINK, data=b"usr/bin"),
    Entry(path="dev", mode=DIR),
    Entry(path="dev/null", mode=S_IFCHR | 0o666, device=(1, 3)),
    Entry(path="empty", mode=FILE),
)
DEVICES = frozenset({"dev/null"})


def _packed(*entries: Entry) -> bytes:
    return b"".join(cpio.pack(entries))


def _raw(path: bytes, mode: int, data: bytes = b"", **fields: int) -> bytes:
    """One entry made from nothing but the format's description."""
    values = {
        "ino": 1, "mode": mode, "uid": 0, "gid": 0, "nlink": 1, "mtime": 0, "filesize": len(data),
        "devmajor": 0, "devminor": 0, "rdevmajor": 0, "rdevminor": 0,
        "namesize": len(path) + 1, "check": 0, **fields,
    }  # fmt: skip
    head = b"070701" + b"".join(b"%08x" % value for value in values.values()) + path + b"\0"
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


END = _raw(b"TRAILER!!!", 0)


def _refused(data: bytes, field: str, message: str = "", offset: int | None = None) -> None:
    with pytest.raises(Malformed) as caught:
        cpio.read(data)
    assert caught.value.field == field
    assert message in str(caught.value)
    if offset is not None:
        assert caught.value.offset == offset


def test_a_tree_comes_back() -> None:
    entries = cpio.read(_packed(*TREE), devices=DEVICES)
    assert [e.path for e in entries] == sorted(e.path for e in TREE)
    assert {(e.path, e.mode, bytes(e.data), e.device) for e in entries} == {
        (e.path, e.mode, bytes(e.data), e.device) for e in TREE
    }


def test_the_order_given_is_not_the_order_written() -> None:
    assert _packed(*TREE) == _packed(*reversed(TREE))


def test_the_bytes_are_the_same_everywhere() -> None:
    """Should this change, every image changes: a release note, not a refactoring."""
    digest = hashlib.sha256(_packed(*TREE)).hexdigest()
    assert digest == "f1226b11bf1a4f5aae9cf91c9e6e8862b13342da52b51e4fbbab8abe8b7ce905"


def test_the_layout_is_the_formats() -> None:
    ours = _packed(Entry(path="a", mode=DIR), Entry(path="a/b", mode=FILE, data=b"12345"))
    theirs = _raw(b"a", DIR, nlink=2) + _raw(b"a/b", FILE, b"12345", ino=2)
    assert ours == theirs + _raw(b"TRAILER!!!", 0, ino=0)
    assert len(ours) % 4 == 0


@pytest.mark.skipif(shutil.which("cpio") is None, reason="the program cpio is absent")
def test_another_program_reads_it() -> None:
    done = subprocess.run(
        ["cpio", "--list", "--quiet"], input=_packed(*TREE), capture_output=True, check=True
    )
    assert done.stdout.decode().split() == sorted(e.path for e in TREE)


def test_large_files_are_not_copied() -> None:
    large = bytes(cpio.JOIN_BELOW)
    pieces = cpio.pack([Entry(path="large", mode=FILE, data=large)])
    assert any(piece is large for piece in pieces)


def test_reading_copies_no_data() -> None:
    data = _packed(Entry(path="file", mode=FILE, data=b"content"))
    (entry,) = cpio.read(data)
    assert isinstance(entry.data, memoryview)
    assert entry.data.obj is data


def test_paths_are_sorted_by_their_bytes() -> None:
    names = ["\uffff", "\U00010000", "b", "a-b", "a.b"]
    entries = cpio.read(_packed(*(Entry(path=n, mode=FILE) for n in names)))
    assert [e.path for e in entries] == sorted(names, key=str.encode)


def test_zeros_after_the_trailer_are_padding() -> None:
    assert cpio.read(_raw(b"a", FILE) + END + bytes(512))
    data = _raw(b"a", FILE) + END
    _refused(data + bytes(3) + b"\1", "cpio.end", "something follows the trailer", len(data))
    _refused(data + _raw(b"b", FILE) + END, "cpio.end")


BAD_PATHS = [
    (b"/etc", "is an absolute path"),
    (b"..", "goes up"),
    (b"../etc", "goes up"),
    (b"a/../../etc", "goes up"),
    (b"a//b", "plain form"),
    (b"./a", "plain form"),
    (b"a/", "plain form"),
    (b".", "plain form"),
    (b"x" * 256, "no file system takes"),
    (b"a/b", "comes before its folder"),
]


@pytest.mark.parametrize(("path", "why"), BAD_PATHS)
def test_paths_that_lead_elsewhere(path: bytes, why: str) -> None:
    _refused(_raw(path, FILE) + END, "cpio.entry", why, 0)
    with pytest.raises(Misuse, match=why):
        _packed(Entry(path=path.decode(), mode=FILE))


def test_the_longest_name_is_read() -> None:
    assert cpio.read(_raw(b"x" * 255, FILE) + END)[0].path == "x" * 255


def test_a_path_longer_than_linux_takes() -> None:
    def deep(size: int) -> list[Entry]:
        folders = [Entry(path="/".join(["a" * 204] * n), mode=DIR) for n in range(1, 20)]
        last = folders[-1].path
        return [*folders, Entry(path=f"{last}/{'b' * (size - len(last) - 1)}", mode=FILE)]

    assert len(cpio.read(_packed(*deep(4095)))) == 20
    with pytest.raises(Misuse, match="is no name for a file"):
        _packed(*deep(4096))
    _refused(_raw(b"a" * 4096, FILE) + END, "cpio.name")


def test_through_a_link_or_a_file() -> None:
    for kind, data in ((LINK, b"/etc"), (FILE, b"x")):
        first = _raw(b"a", kind, data)
        archive = first + _raw(b"a/b", FILE) + END
        _refused(archive, "cpio.entry", "passes through what is not a folder", len(first))


def test_the_same_path_twice() -> None:
    for kind in (FILE, DIR):
        _refused(_raw(b"a", kind) + _raw(b"a", kind) + END, "cpio.entry", "is there twice")
    with pytest.raises(Misuse, match="is there twice"):
        _packed(Entry(path="a", mode=FILE), Entry(path="a", mode=DIR))


@pytest.mark.parametrize("kind", [S_IFIFO, S_IFSOCK, 0, 0o030000])
def test_kinds_that_no_image_has(kind: int) -> None:
    _refused(_raw(b"a", kind | 0o644) + END, "cpio.entry", "is no file, folder, link or device")


def test_a_mode_with_more_than_sixteen_bits() -> None:
    _refused(_raw(b"a", FILE | 1 << 16) + END, "cpio.entry", "has the mode")


@pytest.mark.parametrize("kind", [S_IFCHR, S_IFBLK])
def test_devices_only_where_declared(kind: int) -> None:
    archive = _raw(b"null", kind | 0o666, rdevmajor=1, rdevminor=3) + END
    _refused(archive, "cpio.entry", "is a device")
    (entry,) = cpio.read(archive, devices=frozenset({"null"}))
    assert entry.device == (1, 3)
    with pytest.raises(Malformed, match="has data"):
        cpio.read(_raw(b"null", kind, b"x") + END, devices=frozenset({"null"}))


@pytest.mark.parametrize("field", ["rdevmajor", "rdevminor"])
def test_a_device_number_on_a_file(field: str) -> None:
    _refused(_raw(b"a", FILE, **{field: 1}) + END, "cpio.entry", "has a device number")


def test_a_folder_with_data() -> None:
    _refused(_raw(b"a", DIR, b"x") + END, "cpio.entry", "has data")


@pytest.mark.parametrize("target", [b"", b"a\0b", b"x" * 4096])
def test_a_link_to_no_path(target: bytes) -> None:
    _refused(_raw(b"a", LINK, target) + END, "cpio.entry", "has a target that is no path")


def test_the_longest_target_is_read() -> None:
    assert cpio.read(_raw(b"a", LINK, b"x" * 4095) + END)


def test_hard_links() -> None:
    _refused(_raw(b"a", FILE, nlink=2) + END, "cpio.nlink", "is a hard link", 0)


def test_files_too_large_to_say() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 32

    with pytest.raises(Misuse, match="a is too large for a cpio archive"):
        cpio.pack([Entry(path="a", mode=FILE, data=Huge())])


@pytest.mark.parametrize("size", [5, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_size_beyond_the_end_allocates_nothing(size: int) -> None:
    entry = _raw(b"a", FILE, b"1234", filesize=size)
    _refused(entry, "cpio.filesize", f"is {size}, but 4 bytes are left", 0)


def test_names_that_are_none() -> None:
    ends = "is not one text that ends in NUL"
    _refused(_raw(b"a", FILE, namesize=1) + END, "cpio.name", ends, 0)
    _refused(_raw(b"", FILE) + END, "cpio.name", ends)
    _refused(_raw(b"ab", FILE, namesize=2) + END, "cpio.name", ends)
    _refused(_raw(b"a\0b", FILE) + END, "cpio.name", ends)
    _refused(_raw(b"a", FILE, namesize=0xFFFFFFFF) + END, "cpio.name", ends)
    _refused(_raw(b"\xff", FILE) + END, "cpio.name", "is not UTF-8", 0)
    _refused(_raw(b"\xed\xa0\x80", FILE) + END, "cpio.name", "is not UTF-8")


@pytest.mark.parametrize("magic", [b"070702", b"070707", b"\x1f\x8b\x08\0\0\0", b"\xc7\x71ab12"])
def test_other_archives(magic: bytes) -> None:
    data = magic + _raw(b"a", FILE)[6:] + END
    _refused(data, "cpio.magic", "not that of an uncompressed newc archive", 0)


@pytest.mark.parametrize(
    "digits", [b"0x000001", b"+0000001", b" 0000001", b"0_000001", b"g0000001"]
)
def test_numbers_that_python_would_take(digits: bytes) -> None:
    data = bytearray(_raw(b"a", FILE) + END)
    data[6:14] = digits
    _refused(bytes(data), "cpio.header", "is not hexadecimal", 0)


def test_padding_that_hides_bytes() -> None:
    name = bytearray(_raw(b"ab", FILE, b"12345") + END)
    name[113] = 1
    _refused(bytes(name), "cpio.padding", "is not zeros", 113)
    tail = bytearray(_raw(b"a", FILE, b"12345") + END)
    tail[112 + 5] = 1
    _refused(bytes(tail), "cpio.padding", "is not zeros", 112 + 5)


def test_a_trailer_with_something_in_it() -> None:
    trailer = _raw(b"TRAILER!!!", 0, b"data")
    _refused(_raw(b"a", FILE) + trailer, "cpio.trailer", "is not empty", 112)
    _refused(_raw(b"TRAILER!!!", FILE), "cpio.trailer")
    with pytest.raises(Misuse, match="is no name for a file"):
        _packed(Entry(path="TRAILER!!!", mode=FILE))


def test_offsets_are_those_of_the_whole_file() -> None:
    with pytest.raises(Malformed) as caught:
        cpio.read(_raw(b"a", FILE) + _raw(b"a", FILE) + END, base=1000)
    assert caught.value.offset == 1112


def test_more_entries_than_any_image_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpio, "MAX_ENTRIES", 2)
    archive = _raw(b"a", FILE) + _raw(b"b", FILE)
    assert len(cpio.read(archive + END)) == 2
    _refused(archive + _raw(b"c", FILE) + END, "cpio.entries", "has more than 2", 224)


def test_every_truncation_is_refused() -> None:
    data = _packed(*TREE)
    for size in range(len(data)):
        with pytest.raises(Malformed):
            cpio.read(data[:size], devices=DEVICES)
    _refused(b"", "cpio.end", "ends without a trailer", 0)


def test_flipped_bits_raise_only_our_errors() -> None:
    data = _packed(*TREE)
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            entries = cpio.read(bytes(changed), devices=DEVICES)
        except Malformed:
            continue
        assert all(not e.path.startswith("/") and ".." not in e.path.split("/") for e in entries)


NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
NAMES = st.sets(NAME.filter(lambda n: n not in (".", "..", "TRAILER!!!")), max_size=8)


@given(names=NAMES, data=st.binary(max_size=40), shuffle=st.randoms())
def test_any_tree_comes_back(names: set[str], data: bytes, shuffle: Random) -> None:
    entries = [Entry(path="top", mode=DIR)]
    entries += [Entry(path=f"top/{n}", mode=FILE, data=data) for n in names]
    first = _packed(*entries)
    shuffle.shuffle(entries)
    assert _packed(*entries) == first
    back = cpio.read(first)
    assert {e.path: bytes(e.data) for e in back} == {e.path: bytes(e.data) for e in entries}


@given(st.binary(max_size=400), st.booleans())
def test_junk_is_refused(data: bytes, looks_right: bool) -> None:
    with pytest.raises(Malformed):
        cpio.read(_raw(b"a", FILE) + b"070701" + data if looks_right else data)


def test_archives_over_each_other() -> None:
    first = cpio.read(_packed(Entry(path="usr", mode=DIR), Entry(path="usr/a", mode=FILE)))
    second = cpio.read(_packed(Entry(path="usr", mode=DIR), Entry(path="usr/b", mode=FILE)))
    assert [e.path for e in cpio.overlay([second, first])] == ["usr", "usr/a", "usr/b"]


@pytest.mark.parametrize(
    "other",
    [
        Entry(path="usr", mode=S_IFDIR | 0o700),
        Entry(path="usr", mode=LINK, data=b"/"),
        Entry(path="usr", mode=FILE),
    ],
)
def test_archives_that_contradict_each_other(other: Entry) -> None:
    with pytest.raises(Malformed, match="in two archives") as caught:
        cpio.overlay([(Entry(path="usr", mode=DIR),), (other,)])
    assert caught.value.field == "cpio.overlay"
    file = Entry(path="a", mode=FILE)
    with pytest.raises(Malformed, match="in two archives"):
        cpio.overlay([(file,), (Entry(path="a", mode=FILE),)])
