"""Two images that differ: the section, the file and the bytes are named, and nothing more than was asked."""

import gzip
from pathlib import Path
from stat import S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro import signer

from troth.image.compare import Difference, compare, differences, same
from troth.wire import cpio, eif
from troth.wire.cpio import Entry
from troth.wire.eif import Eif, Kind, Section

FILES = {"a": b"one", "b": b"two"}


def _file(path: str, data: bytes = b"", mode: int = 0o644) -> Entry:
    return Entry(path=path, mode=S_IFREG | mode, data=data)


def _image(
    files: dict[str, bytes] | list[Entry],
    *,
    mode: int = 0o644,
    line: bytes = b"line",
    metadata: bytes = b"{}",
    disks: int = 1,
    **more: Any,
) -> Eif:
    entries = [Entry(path="d", mode=S_IFDIR | 0o755)]
    if isinstance(files, dict):
        entries += [_file(f"d/{n}", d, mode) for n, d in files.items()]
    else:
        entries += files
    return Eif(
        sections=(
            Section(kind=Kind.KERNEL, pieces=(b"kernel",)),
            Section(kind=Kind.COMMAND_LINE, pieces=(line,)),
            Section(kind=Kind.METADATA, pieces=(metadata,)),
            *[Section(kind=Kind.RAMDISK, pieces=cpio.pack(entries))] * disks,
        ),
        **more,
    )


def _found(one: Eif, other: Eif) -> tuple[Difference, ...]:
    """What differs, and that the other way round it is the same the other way round."""
    found = compare(one, other)
    back = compare(other, one)
    assert found.left_out == back.left_out == 0
    turned = {(d.section, d.path, d.what, d.second, d.first, d.offset) for d in back.differences}
    assert turned == {
        (d.section, d.path, d.what, d.first, d.second, d.offset) for d in found.differences
    }
    return found.differences


def _words(one: Eif, other: Eif) -> tuple[str, ...]:
    return tuple(difference.words() for difference in _found(one, other))


def test_equal_images() -> None:
    assert _found(_image(FILES), _image(FILES)) == ()


def test_what_differs_is_named() -> None:
    one = _image(FILES)
    assert _words(one, _image({**FILES, "b": b"twx!"})) == (
        "ramdisk 0: /d/b: differs from byte 2 on (3 bytes and 4 bytes)",
    )
    assert _words(one, _image({"a": b"one"})) == ("ramdisk 0: /d/b: only in the first",)
    assert _words(_image({"a": b"one"}), one) == ("ramdisk 0: /d/b: only in the second",)
    assert _words(one, _image(FILES, mode=0o600)) == (
        "ramdisk 0: /d/a: mode: -rw-r--r-- and -rw-------",
        "ramdisk 0: /d/b: mode: -rw-r--r-- and -rw-------",
    )
    assert _words(one, _image(FILES, line=b"lines")) == (
        "command_line: differs from byte 4 on (line and lines)",
    )


def test_bytes_come_with_the_row_that_they_stand_in() -> None:
    data = bytes(range(100))
    (found,) = _found(_image({"a": data}), _image({"a": data[:50] + b"\xff" + data[51:]}))
    assert found.offset == 50
    assert found.bytes == (data[48:80], data[48:50] + b"\xff" + data[51:80])
    assert found.line is None


def test_text_comes_with_its_line() -> None:
    (found,) = _found(_image({"a": b"x\ny = 1\nz"}), _image({"a": b"x\ny = 12\nz"}))
    assert found.line == (2, "y = 1", "y = 12")
    (found,) = _found(_image({"a": b""}), _image({"a": "ä".encode()}))
    assert (found.offset, found.line) == (0, (1, "", "ä"))
    (found,) = _found(_image({"a": "ä".encode()}), _image({"a": "ö".encode()}))
    assert (found.offset, found.line) == (1, (1, "ä", "ö"))


def test_links_devices_and_kinds() -> None:
    link = Entry(path="l", mode=S_IFLNK | 0o777, data=b"here")
    other = Entry(path="l", mode=S_IFLNK | 0o777, data=b"there")
    console = Entry(path="dev/console", mode=S_IFCHR | 0o600, device=(5, 1))
    null = Entry(path="dev/console", mode=S_IFCHR | 0o600, device=(1, 3))
    dev = Entry(path="dev", mode=S_IFDIR | 0o755)
    assert _words(_image([link]), _image([other])) == ("ramdisk 0: /l: target: here and there",)
    assert _words(_image([dev, console]), _image([dev, null])) == (
        "ramdisk 0: /dev/console: device: 5:1 and 1:3",
    )
    assert _words(_image([link]), _image([_file("l", b"here")])) == (
        "ramdisk 0: /l: mode: lrwxrwxrwx and -rw-r--r--",
    )
    only = {d.path: d.second for d in _found(_image([]), _image([link, dev, console]))}
    assert only == {
        "/l": "lrwxrwxrwx, to here",
        "/dev": "drwxr-xr-x",
        "/dev/console": "crw-------, 5:1",
    }


def test_metadata_value_by_value() -> None:
    one = _image(FILES, metadata=b'{"a":1,"b":{"c":"x","d":null},"e":[1]}')
    other = _image(FILES, metadata=b'{"a":"1","b":{"c":"y"},"e":[1],"f":5}')
    assert [(d.path, d.what, d.first, d.second) for d in _found(one, other)] == [
        ("a", "value", "1", '"1"'),
        ("b.c", "value", '"x"', '"y"'),
        ("b.d", "only", "null", None),
        ("f", "only", None, "5"),
    ]
    spaced = _image(FILES, metadata=b"{ }")
    (found,) = _found(_image(FILES), spaced)
    assert (found.what, found.offset) == ("content", 1)
    for text, at in ((b"junk", 0), (b'{"a":0.5}', 1), (b"[" * 5000 + b"]" * 5000, 0)):
        (found,) = _found(_image(FILES), _image(FILES, metadata=text))
        assert (found.what, found.offset) == ("content", at)
    deep = [b"[" * 700 + end + b"]" * 700 for end in (b"1", b"2")]
    assert _found(_image(FILES, metadata=deep[0]), _image(FILES, metadata=deep[1]))
    (found,) = _found(_image(FILES), _image(FILES, metadata=b'{"a":"\\ud800"}'))
    assert found.second == "'\\ud800'"


def test_long_values_are_shown_where_they_differ() -> None:
    text = "x" * 5000
    one, other = (f'{{"a":"{text}{end}"}}'.encode() for end in "12")
    (found,) = _found(_image(FILES, metadata=one), _image(FILES, metadata=other))
    assert found.first is not None
    assert found.second is not None
    assert (found.first[-2:], found.second[-2:]) == ('1"', '2"')
    assert len(found.first) < 100
    (found,) = _found(_image(FILES, line=text.encode()), _image(FILES, line=f"{text}ä".encode()))
    assert (found.offset, found.second) == (5000, "…" + "x" * 40 + "ä")


def test_who_signed() -> None:
    mine, theirs = signer.identity(), signer.identity()
    image = signer.image()
    one = signer.with_section(image, signer.signature(image, mine))
    other = signer.with_section(image, signer.signature(image, theirs))
    (found,) = _found(one, other)
    assert (found.section, found.path) == ("signature", "certificate_sha256")
    (found,) = _found(image, one)
    assert (found.section, found.what, found.first) == ("signature", "only", None)
    again = signer.with_section(image, signer.signature(image, mine))
    (found,) = _found(one, again)  # another signature of the same signer's
    assert (found.section, found.what) == ("signature", "content")
    (found,) = _found(one, signer.with_section(image, b"junk"))
    assert (found.section, found.what) == ("signature", "content")


def test_headers_and_order() -> None:
    one = _image(FILES)
    changed = _image(FILES, flags=1, default_memory=1, default_cpus=2)
    assert _words(one, changed) == (
        "header: architecture: value: x86_64 and aarch64",
        "header: default_mem: value: 0 and 1",
        "header: default_cpus: value: 0 and 2",
    )
    k, line, metadata, disk = one.sections
    (found,) = _found(one, Eif(sections=(k, line, disk, metadata)))
    assert (found.section, found.what) == ("header", "order")
    assert found.second == "kernel, command_line, ramdisk 0, metadata"


def test_other_sections() -> None:
    assert _words(_image(FILES), _image(FILES, disks=2)) == ("ramdisk 1: only in the second",)


def test_archives_laid_out_differently() -> None:
    one = _image(FILES)
    padded = Section(kind=Kind.RAMDISK, pieces=(*one.ramdisks[0].pieces, bytes(4)))
    other = Eif(sections=(*one.sections[:3], padded))
    (found,) = _found(one, other)
    assert (found.section, found.what) == ("ramdisk 0", "layout")
    junk = Section(kind=Kind.RAMDISK, pieces=(b"junk",))
    assert _words(one, Eif(sections=(*one.sections[:3], junk)))[0].startswith(
        "ramdisk 0: differs from byte 0 on"
    )


def test_no_more_than_asked_and_the_rest_counted() -> None:
    many = {f"{n:03}": b"x" for n in range(50)}
    one, other = _image(many), _image(dict.fromkeys(many, b"y"))
    assert len(compare(one, other).differences) == 50
    some = compare(one, other, most=20)
    assert (len(some.differences), some.left_out) == (20, 30)


def test_files_on_disk(tmp_path: Path) -> None:
    one = _image(FILES)
    other = Eif(sections=one.sections, default_cpus=2)
    paths = tmp_path / "1.eif", tmp_path / "2.eif"
    for path, image in zip(paths, (one, other), strict=True):
        path.write_bytes(eif.pack(image))
    assert differences(paths[0], paths[0]) == ()
    assert differences(*paths) == ("header: default_cpus: value: 0 and 2",)


@pytest.mark.parametrize("size", [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 3 << 16])
def test_the_first_byte_wherever_it_is(size: int) -> None:
    data = bytes(size)
    for at in {0, size // 2, size - 1} & set(range(size)):
        changed = bytearray(data)
        changed[at] = 1
        (found,) = _found(_image({"a": data}), _image({"a": bytes(changed)}))
        assert found.offset == at
    (found,) = _found(_image({"a": data}), _image({"a": data + b"1"}))
    assert found.offset == size


def test_same() -> None:
    one, other = (Section(kind=Kind.KERNEL, pieces=(data,)) for data in (b"a", b"b"))
    cut = Section(kind=Kind.KERNEL, pieces=(b"", b"a"))
    assert same(one, cut)
    assert same(None, None)
    assert not same(one, other)
    assert not same(one, None)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.binary(max_size=4)),
    st.dictionaries(st.sampled_from("abcd"), st.binary(max_size=4)),
)
def test_it_finds_something_exactly_where_bytes_differ(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    found = {d.path.removeprefix("/d/") for d in _found(_image(one), _image(other))}
    assert found == {n for n in "abcd" if one.get(n) != other.get(n)}


def _stamped(made: Eif, path: bytes, field: int, value: int) -> Eif:
    """The image with another number in a file's header, for which an entry has no place."""
    section = made.ramdisks[0]
    data = bytearray(bytes(section.data))
    at = data.index(path + b"\0") - cpio.HEADER_SIZE + 6 + field * 8
    data[at : at + 8] = b"%08x" % value
    return _with_ramdisk(made, bytes(data))


NUMBER, USER, GROUP, TIME = 0, 2, 3, 5


def _with_ramdisk(made: Eif, data: bytes) -> Eif:
    sections = [
        Section(kind=s.kind, pieces=(data,)) if s.kind is Kind.RAMDISK else s for s in made.sections
    ]
    return Eif(sections=tuple(sections))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (TIME, 1700000000, "/d/b: time: none and 2023-11-14 22:13:20Z"),
        (TIME, 0xFFFFFFFF, "/d/b: time: none and 2106-02-07 06:28:15Z"),
        (USER, 1000, "/d/b: owner: 0:0 and 1000:0"),
        (GROUP, 100, "/d/b: owner: 0:0 and 0:100"),
    ],
)
def test_a_planted_time_or_owner_is_named_with_its_file(
    field: int, value: int, words: str, *, packed: bool
) -> None:
    images = [_image(FILES), _stamped(_image(FILES), b"d/b", field, value)]
    if packed:
        images = [_with_ramdisk(i, gzip.compress(bytes(i.ramdisks[0].data))) for i in images]
    assert _words(*images) == (f"ramdisk 0: {words}",)


def test_one_difference_does_not_hide_another_that_no_file_shows() -> None:
    one = _image(FILES)
    other = _stamped(_image(FILES | {"b": b"2"}), b"d/a", TIME, 1000)
    assert [(d.path, d.what) for d in _found(one, other)] == [("/d/b", "content"), ("/d/a", "time")]
    content, time, layout = _found(one, _stamped(other, b"d/a", NUMBER, 77))
    assert (content.path, content.what, time.what) == ("/d/b", "content", "time")
    assert (layout.section, layout.path, layout.what) == ("ramdisk 0", "", "layout")
    assert "order or numbers are its own" in layout.words()
    time, layout = _found(one, _stamped(_stamped(one, b"d/a", TIME, 1), b"d/a", NUMBER, 77))
    assert (time.what, layout.what) == ("time", "layout")


def test_the_same_archive_compressed_otherwise() -> None:
    one = _image(FILES)
    packed = _with_ramdisk(one, gzip.compress(bytes(one.ramdisks[0].data), mtime=0))
    (found,) = _found(one, packed)
    assert (found.section, found.path, found.what) == ("ramdisk 0", "", "compression")


def test_nothing_is_said_of_a_layout_that_is_ours() -> None:
    one, other = _image(FILES), _image(FILES | {"b": b"2"})
    packed = _with_ramdisk(other, gzip.compress(bytes(other.ramdisks[0].data), mtime=0))
    assert [d.what for d in _found(one, packed)] == ["content"]
