"""Archives of tar: what Python's own writer writes is read the same, and two readings are refused."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.wire import tar
from troth.wire.tar import Kind, Member


class Bytes:
    def __init__(self, data: bytes, most: int = 1 << 40) -> None:
        self._file = io.BytesIO(data)
        self._most = most

    def read(self, size: int) -> bytes:
        assert size <= self._most, "more is asked for than any field may have"
        return self._file.read(size)

    def skip(self, size: int) -> int:
        before = self._file.tell()
        return self._file.seek(min(before + size, len(self._file.getvalue()))) - before


def read(data: bytes) -> list[tuple[Member, bytes]]:
    archive = tar.Archive(Bytes(data), field="x")
    return [(member, bytes(archive.data())) for member in archive]


def written(form: int, *items: tarfile.TarInfo, data: bytes = b"") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for item in items:
            item.size = len(data) if item.isreg() else 0
            archive.addfile(item, io.BytesIO(data) if item.isreg() else None)
    return out.getvalue()


def info(name: str, **fields: object) -> tarfile.TarInfo:
    item = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(item, key, value)
    return item


def header(name: bytes = b"a", kind: bytes = b"0", size: bytes = b"0", **more: object) -> bytes:
    """One block, its checksum right."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:107] = b"0000644"
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    for at, value in more.get("at", {}).items():  # type: ignore[attr-defined]
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extended(records: bytes, kind: bytes = b"x") -> bytes:
    return header(b"pax", kind, b"%o" % len(records)) + records + bytes(-len(records) % 512)


def record(key: str, value: bytes) -> bytes:
    rest = b" " + key.encode() + b"=" + value + b"\n"
    size = len(rest) + 1
    while len(str(size)) + len(rest) != size:
        size = len(str(size)) + len(rest)
    return str(size).encode() + rest


END = bytes(1024)
FORMS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
NAMES = st.lists(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1),
    min_size=1,
    max_size=40,
).map("/".join)
KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.SYMTYPE: Kind.LINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.CHRTYPE: Kind.CHARACTER_DEVICE,
    tarfile.BLKTYPE: Kind.BLOCK_DEVICE,
    tarfile.FIFOTYPE: Kind.PIPE,
}


@given(
    form=st.sampled_from(FORMS),
    name=NAMES,
    target=NAMES,
    kind=st.sampled_from(sorted(KINDS)),
    mode=st.integers(0, 0o7777),
    data=st.binary(max_size=2000),
)
def test_what_python_writes(*, form, name, target, kind, mode, data) -> None:
    item = info(name, type=kind, mode=mode, mtime=1.5, uname="ü")
    if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        item.linkname = target
    try:
        archive = written(form, item, data=data)
    except ValueError:  # too long for the form of 1988
        return
    ((found, content),) = read(archive)
    assert (found.kind, found.mode) == (KINDS[kind], mode)
    assert found.name.rstrip("/") == name.rstrip("/")
    assert content == (data if kind == tarfile.REGTYPE else b"")
    assert found.target == item.linkname


def test_many_members_in_order_and_not_taken() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(20):
            item = info(f"{number}")
            item.size = number * 100
            archive.addfile(item, io.BytesIO(bytes([number]) * item.size))
    found = [m.name for m in tar.Archive(Bytes(out.getvalue()), field="x")]
    assert found == [str(number) for number in range(20)]
    for member, data in read(out.getvalue()):
        assert data == bytes([int(member.name)]) * member.size
        assert out.getvalue()[member.begin : member.begin + member.size] == data


def test_a_large_file_comes_as_it_is() -> None:
    data = bytes(range(256)) * 4096
    ((member, content),) = read(written(tarfile.PAX_FORMAT, info("big"), data=data))
    assert (content, member.size) == (data, len(data))


def test_attributes_are_named_and_not_read() -> None:
    body = record("SCHILY.xattr.security.capability", b"\x01\0\n=") + record("mtime", b"1.5")
    ((found, _),) = read(extended(body) + header() + END)
    assert found.attributes == ("SCHILY.xattr.security.capability",)


def test_a_folder_of_the_oldest_form() -> None:
    ((found, _),) = read(header(b"a/", b"\0", at={257: bytes(8)}) + END)
    assert found.kind is Kind.FOLDER


def test_a_folder_may_say_so_twice() -> None:
    ((found, _),) = read(header(b"a/", b"5") + END)
    assert found.kind is Kind.FOLDER


def test_a_size_of_twenty_digits() -> None:
    long = record("size", b"%020d" % 3)
    ((found, data),) = read(extended(long) + header() + b"abc" + bytes(509) + END)
    assert (found.size, data) == (3, b"abc")


def test_a_prefix_counts_in_one_form_only() -> None:
    ((found, _),) = read(header(at={345: b"far"}) + END)
    assert found.name == "far/a"
    ((found, _),) = read(header(at={257: b"ustar  \0", 345: b"far"}) + END)
    assert found.name == "a"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "in the midst of a header"),
        (header()[:511], "in the midst of a header"),
        (header() + bytes(100), "in the midst of a header"),
        (header(size=b"10"), "in the midst of a data"),
        (header(size=b"10") + bytes(512), "in the midst of a header"),
        (b"x" * 512 + END, "is no number|damaged header"),
        (bytes([header()[0] ^ 1]) + header()[1:] + END, "damaged header"),
        (header(size=b"9") + END, "size that is no number"),
        (header(size=b"-1") + END, "size that is no number"),
        (header(size=b"\xff" * 12) + END, "size that is no number"),
        (header(size=b"\x80" + b"\xff" * 11) + END, "in the midst of a data"),
        (header(kind=b"5", size=b"1") + END, "'a' is a folder, and says that data follow"),
        (header(kind=b"1", size=b"1") + END, "'a' is a hard link, and says that data follow"),
        (header(kind=b"2", size=b"1") + END, "'a' is a link, and says that data follow"),
        (header(kind=b"S") + END, "sparse file of GNU's"),
        (header(kind=b"V") + END, "a volume's label"),
        (header(kind=b"Z") + END, "of the kind 'Z'"),
        (header(kind=b"\xe4") + END, "of the kind"),
        (header() + END + b"x", "something follows the archive's end"),
        (header() + bytes(512) + header() + END, "something follows the archive's end"),
        (header(b"\xff") + END, "name that is not UTF-8"),
        (header(kind=b"2", at={157: b"\xff"}) + END, "name that is not UTF-8"),
        (extended(record("path", b"\xe4")) + header() + END, "name that is not UTF-8"),
        (extended(record("path", b"a\0b")) + header() + END, "name with a NUL"),
        (extended(record("path", b"b") * 2) + header() + END, "says 'path' of a member twice"),
        (extended(record("path", b"b"), b"g") + header() + END, "path of a member in more than one"),
        (extended(record("size", b"x")) + header() + END, "size that is no number"),
        (extended(record("size", "١".encode())) + header() + END, "size that is no number"),
        (extended(record("size", b"0" * 20 + b"9")) + header() + END, "size that is no number"),
        (extended(record("size", b"9" * 5000)) + header() + END, "size that is no number"),
        (extended(record("size", b"")) + header() + END, "an empty size"),
        (extended(record("path", b"")) + header() + END, "an empty path"),
        (extended(record("linkpath", b"")) + header(kind=b"2") + END, "an empty linkpath"),
        (header(b"L", b"L", b"1") + bytes(512) + header() + END, "an empty path"),
        (header(b"a/") + END, "'a/' is a file by its kind, a folder by its name"),
        (header(b"a/", b"7") + END, "'a/' is a file by its kind, a folder by its name"),
        (extended(record("path", b"a/")) + header(size=b"1") + END, "a file by its kind"),
        (extended(record("GNU.sparse.major", b"1")) + header() + END, "holds a sparse file"),
        (extended(b"9 path=b\n\n") + header() + END, "extended header that is none"),
        (extended(b"99 path=b\n") + header() + END, "extended header that is none"),
        (extended(b"0 path=b\n") + header() + END, "extended header that is none"),
        (extended(b"path=b\n") + header() + END, "extended header that is none"),
        (extended(b"5 b=\n!") + header() + END, "extended header that is none"),
        (extended(b"4 =\n") + header() + END, "extended header that is none"),
        (extended(record("path", b"b")) + END, "damaged header"),
        (extended(record("path", b"b")), "in the midst of a header"),
        (header(kind=b"x", size=b"77777777") + END, "extended header of 16777215 bytes"),
        (
            header(b"L", b"L", b"2") + b"bb" + bytes(510) + extended(record("path", b"c")) + header() + END,
            "path of a member in more than one",
        ),
        (
            2 * (header(b"L", b"L", b"2") + b"bb" + bytes(510)) + header() + END,
            "path of a member in more than one",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read(data)


def test_a_size_that_lies_costs_nothing() -> None:
    """Each piece is asked for by itself, so that nothing is made room for before it has come."""
    data = header(size=b"77777777777") + bytes(3 * 512) + END
    archive = tar.Archive(Bytes(data, most=tar.PIECE), field="x")
    next(iter(archive))
    with pytest.raises(Malformed, match="in the midst of a data"):
        archive.data()
    with pytest.raises(Malformed, match="in the midst of a file"):
        list(tar.Archive(Bytes(data, most=tar.PIECE), field="x"))


GOOD = written(
    tarfile.PAX_FORMAT, info("ü" * 200), info("b", type=tarfile.SYMTYPE, linkname="c"), data=b"text"
)


@given(st.data())
def test_cut_or_changed_bytes(data: st.DataObject) -> None:
    text = bytearray(GOOD)
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text) - 1))]
    else:
        text[data.draw(st.integers(0, 2559))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = read(bytes(text))
    except Malformed:
        return
    assert all(member.size == len(content) for member, content in found)
