"""A planted difference is named exactly: which part of which file, and what usually makes it."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from pathlib import Path
from stat import S_IFREG

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.image import made
from tests.image.explain import elves

from troth.image import compare, unpack_wheel
from troth.image.compare import Difference
from troth.image.explain import causes, contents, explain, sentence, texts
from troth.wire import cpio, eif
from troth.wire.eif import Eif, Kind, Section


def image(
    files: dict[str, tuple[int, bytes]],
    *,
    line: bytes = b"console=ttyS0 quiet",
    kernel: bytes = b"k",
) -> Eif:
    entries = [cpio.Entry(path=p, mode=S_IFREG | m, data=d) for p, (m, d) in files.items()]
    return Eif(
        sections=(
            Section(kind=Kind.KERNEL, pieces=(kernel,)),
            Section(kind=Kind.COMMAND_LINE, pieces=(line,)),
            Section(kind=Kind.METADATA, pieces=(b"{}",)),
            Section(kind=Kind.RAMDISK, pieces=cpio.pack(entries)),
        )
    )


def the_one(one: Eif, other: Eif) -> Difference:
    (found,) = compare.compare(*(eif.read(eif.pack(x)) for x in (one, other))).differences
    return found


def test_a_mode_bit() -> None:
    found = the_one(image({"a": (0o644, b"x")}), image({"a": (0o755, b"x")}))
    assert (found.path, found.what) == ("/a", "mode")
    assert (found.first, found.second) == ("-rw-r--r--", "-rwxr-xr-x")
    assert explain(found).cause is causes.MODE
    assert sentence(found) == (
        "ramdisk 0: /a: mode: -rw-r--r-- and -rwxr-xr-x; permissions were taken from a working folder or a "
        "umask (docs/reference/differences.md#a-mode)"
    )


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            b"a quiet",
            b"a loud",
            ["the word quiet is only in the first", "the word loud is only in the second"],
        ),
        (b"a x=1", b"a x=2", ["the word x=1 is x=2 in the second"]),
        (b"a b", b"b a", ["the same words in another order"]),
        (b"a b", b"a  b", ["other spaces"]),
        (b"a", b"a init=/bin/sh", ["the word init=/bin/sh is only in the second"]),
    ],
)
def test_the_kernels_command_line_word_by_word(
    first: bytes, second: bytes, words: list[str]
) -> None:
    found = the_one(image({}, line=first), image({}, line=second))
    assert found.section == "command_line"
    told = explain(found)
    assert list(told.told) == words
    assert told.cause is causes.COMMAND_LINE


def test_another_kernel() -> None:
    def linux(version: bytes) -> bytes:
        head = bytearray(0x400)
        head[0x202:0x206] = b"HdrS"
        head[0x20E:0x210] = (0x100).to_bytes(2, "little")
        return bytes(head[:0x300]) + version + b"\0"

    found = the_one(image({}, kernel=linux(b"6.12.1 x")), image({}, kernel=linux(b"6.12.2 y")))
    assert explain(found).told == ("Linux 6.12.1 x and 6.12.2 y",)


def zipped(*members: tuple[str, bytes, tuple[int, ...]], stored: bool = False) -> bytes:
    out = io.BytesIO()
    how = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, data, date in members:
            item = zipfile.ZipInfo(name, date)  # type: ignore[arg-type]
            item.external_attr = 0o644 << 16
            item.compress_type = how
            archive.writestr(item, data)
    return out.getvalue()


EARLY, LATE = (1980, 1, 1, 0, 0, 0), (2026, 11, 26, 3, 10, 2)


@pytest.mark.parametrize(("section", "lines"), [("signature", 1), ("ramdisk 2", 0)])
def test_a_section_that_one_of_them_lacks_is_no_leftover_file(section: str, lines: int) -> None:
    told = explain(Difference(section=section, what="only", first=None, second="9 bytes"))
    assert (told.cause, len(told.told)) == (None, lines)
    file = Difference(section="ramdisk 2", path="/a", what="only", first=None, second="x")
    assert explain(file).cause is causes.FILES


def test_a_time_in_a_zip_member() -> None:
    one, other = zipped(("m", b"x", EARLY)), zipped(("m", b"x", LATE))
    found = the_one(image({"a.zip": (0o644, one)}), image({"a.zip": (0o644, other)}))
    told = explain(found)
    assert (told.kind, told.cause) == ("zip archive", causes.TIME)
    assert told.told == ("member m: time: 1980-01-01 00:00:00 and 2026-11-26 03:10:02",)


@pytest.mark.parametrize(
    ("one", "other", "words", "cause"),
    [
        ([("m", b"x", EARLY)], [("m", b"y", EARLY)], "member m: content: 1 and 1 bytes", None),
        ([("m", b"x", EARLY)], [("m", b"x", EARLY), ("n", b"", EARLY)], "member n: only in the second", causes.FILES),
        ([("m", b"x", EARLY), ("n", b"", EARLY)], [("n", b"", EARLY), ("m", b"x", EARLY)], "the same members in another order", causes.ORDER),
    ],
)  # fmt: skip
def test_members_of_zip_archives(one, other, words, cause) -> None:
    told = contents("x.zip", zipped(*one), zipped(*other))
    assert told.told[-1] == words
    assert told.cause is cause


def test_a_time_in_a_gzip_header() -> None:
    told = contents("x.gz", gzip.compress(b"x", mtime=1), gzip.compress(b"x", mtime=1700000000))
    assert (told.kind, told.cause) == ("gzip", causes.TIME)
    assert told.told == (
        "the header's time is 1970-01-01 00:00:01Z and 2023-11-14 22:13:20Z",
        "what is packed in it is the same",
    )


def test_another_level_of_a_compressor() -> None:
    text = b"".join(b"line %d\n" % n for n in range(2000))
    told = contents("x.gz", gzip.compress(text, 1, mtime=0), gzip.compress(text, 6, mtime=0))
    assert told.cause is causes.COMPRESSOR
    assert told.told[-1] == "what is packed in it is the same"


def test_what_is_in_a_compressed_file() -> None:
    pairs = (gzip.compress(b"a\nb\n", mtime=0), gzip.compress(b"b\na\n", mtime=0))
    told = contents("x.gz", *pairs)
    assert told.told == ("unpacked: the same lines in another order",)
    assert told.cause is causes.ORDER
    for pack in (lzma.compress, bz2.compress):
        assert contents("x", pack(b"a\nb\n"), pack(b"b\na\n")).cause is causes.ORDER


@pytest.mark.parametrize(
    ("fields", "words", "cause"),
    [
        ({"mtime": 1700000000}, "member m: time: none and 2023-11-14 22:13:20Z", causes.TIME),
        ({"mtime": 1 << 60}, "member m: time: none and 9999-12-31 23:59:59Z", causes.TIME),
        ({"mode": 0o600}, "member m: mode: 000644 and 000600", causes.MODE),
        ({"uname": "me"}, "member m: owner: 0:0 : and 0:0 me:", causes.OWNER),
    ],
)
def test_members_of_tar_archives(fields: dict[str, object], words: str, cause: object) -> None:
    one, other = (made.tar(made.member("m", b"x", **f)) for f in ({}, fields))  # type: ignore[arg-type]
    told = contents("x.tar", one, other)
    assert (told.kind, told.told, told.cause) == ("tar archive", (words,), cause)


def test_an_archive_in_an_archive() -> None:
    inner = [zipped(("deep", b"x", date), stored=True) for date in (EARLY, LATE)]
    told = contents("x.tar", *(made.tar(made.member("w.zip", data)) for data in inner))
    assert told.cause is causes.TIME
    assert told.told[0].startswith("member w.zip: content: member deep: time: 1980-01-01")


def test_sections_of_elf_files() -> None:
    plain = {".text": b"code" * 8, ".rodata": b"abcdefgh", ".comment": b"GCC: 12\0"}
    one = elves.file(plain)
    told = contents("p", one, elves.file({**plain, ".rodata": b"abcXefgh"}))
    assert told.kind == "ELF"
    assert told.told == (
        "the first byte that differs is in .rodata, 3 bytes in",
        "sections that differ: .rodata",
    )
    told = contents("p", one, elves.file({**plain, ".comment": b"GCC: 14\0"}))
    assert "made by GCC: 12 and GCC: 14" in told.told
    assert told.cause is causes.COMPILER


def test_a_build_id() -> None:
    one, other = (
        elves.file({".text": b"code", ".note.gnu.build-id": elves.note(identity * 20)})
        for identity in (b"\1", b"\2")
    )
    told = contents("p", one, other)
    assert told.cause is causes.BUILD_ID
    assert f"build-id {'01' * 20} and {'02' * 20}" in told.told


@pytest.mark.parametrize(
    ("name", "one", "other", "cause"),
    [
        ("a", b"x\n", b"x\r\n", causes.LINE_ENDS),
        ("a", b"b\na\n", b"a\nb\n", causes.ORDER),
        ("a", b"made 2026-11-01 in", b"made 2026-11-02 in", causes.TIME),
        ("a", b"\0\1built at /tmp/a/src\0", b"\0\1built at /tmp/b/src\0", causes.PATH),
        ("a", b"id=" + b"0" * 32, b"id=" + b"1" * 32, causes.CHANCE),
        ("p.dist-info/RECORD", b"a,sha256=x,1\n", b"a,sha256=y,1\n", causes.REPACKED),
        ("p.dist-info/METADATA", b"Version: 1\n", b"Version: 2\n", causes.PACKAGE),
        ("a", b"one", b"two", None),
    ],
)
def test_what_text_looks_like(name: str, one: bytes, other: bytes, cause: object) -> None:
    assert contents(name, one, other).cause is cause


def test_the_owner_decides_where_nothing_else_is_known() -> None:
    found = the_one(image({"a": (0o644, b"one")}), image({"a": (0o644, b"two")}))
    assert explain(found, owner="the app").cause is causes.SOURCE
    assert explain(found, owner="troth, which is in every image").cause is causes.TROTH
    assert explain(found, owner="the Debian package x 1").cause is causes.PACKAGE
    assert explain(found).cause is None


SEEDS = (
    zipped(("m", b"x" * 50, EARLY), ("n", b"y", LATE)),
    gzip.compress(b"x" * 100, mtime=1),
    lzma.compress(b"x" * 100),
    bz2.compress(b"x" * 100),
    made.tar(made.member("m", b"x"), made.member("n", b"yy")),
    elves.file({".text": b"code", ".comment": b"x\0", ".note.gnu.build-id": elves.note(b"i" * 20)}),
)


@given(seed=st.sampled_from(SEEDS), data=st.data())
def test_hostile_bytes_are_explained_or_not_and_never_raise(
    seed: bytes, data: st.DataObject
) -> None:
    def mutant() -> bytes:
        out = bytearray(seed)
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(out) - 1))
            out[at] = data.draw(st.integers(0, 255))
        return bytes(out[: data.draw(st.integers(0, len(out)))])

    told = contents("x", mutant(), mutant())
    assert len(told.told) < 50


def test_a_bomb_is_not_unpacked() -> None:
    """Two files that unpack to more than is looked at are told of by what their headers say alone."""
    bombs = []
    for time in (0, 1):
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", mtime=time) as packed:
            for _ in range(70):
                packed.write(bytes(1 << 20))
        bombs.append(out.getvalue())
    assert contents("x.gz", *bombs).told == ("the header's time is none and 1970-01-01 00:00:01Z",)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_a_bomb_in_a_zip_is_not_unpacked(how: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's `zipfile` unpacks what these packed all at once, however little is asked for."""
    bombs = []
    for last in (b"1", b"2"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", how) as archive:
            archive.writestr("m", bytes(1 << 20) + last)
        bombs.append(out.getvalue())
    called: list[int] = []
    monkeypatch.setattr(zipfile, "_get_decompressor", called.append)
    assert contents("x.zip", *bombs).kind == ""
    assert called == []


def test_a_zip_of_nothing_but_names() -> None:
    """As many as there is room for are not made into objects first."""
    row = b"PK\1\2" + bytes(24) + (1).to_bytes(2, "little") + bytes(16) + b"m"
    rows = row * (unpack_wheel.MAX_MEMBERS + 1)
    end = b"PK\5\6" + bytes(4) + b"\xff\xff" * 2 + len(rows).to_bytes(4, "little")
    one, other = (b"PK\3\4" + last + rows + end + bytes(6) for last in (b"1", b"2"))
    assert contents("x.zip", one, other).kind == ""


def test_lines_without_number_are_not_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert contents("x", b"a\nb\n", b"b\na\n").cause is causes.ORDER
    monkeypatch.setattr(texts, "_MOST_LINES", 1)
    assert contents("x", b"a\nb\n", b"b\na\n").cause is None


def test_sections_that_overlap_without_end() -> None:
    """Thousands of sections that each say that they are the whole file."""
    plain = elves.file({f".s{n}": b"x" for n in range(3000)})
    table = int.from_bytes(plain[0x28:0x30], "little")
    data = bytearray(plain + bytes(1 << 20))
    for n in range(1, 3001):
        row = table + 64 * n
        data[row + 0x18 : row + 0x28] = (0).to_bytes(8, "little") + len(data).to_bytes(8, "little")
    assert contents("p", bytes(data), bytes(data[:-1]) + b"x").kind == ""


def test_a_tar_of_nothing_but_claims() -> None:
    item = tarfile.TarInfo("giant")
    item.size = 1 << 40
    data = item.tobuf() + bytes(512)
    assert contents("x", data, data[:-1] + b"x").kind in ("", "tar archive")


def test_each_cause_has_its_section_and_each_section_its_cause() -> None:
    page = (Path(__file__).parents[3] / causes.PAGE).read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert [s.lower().replace(" ", "-") for s in sections] == [c.name for c in causes.ALL]
    plain = " ".join(page.split())
    for cause in causes.ALL:
        assert cause.words[1:] in plain
        assert f"What ends it: {cause.fix}." in plain
