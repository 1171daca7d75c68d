"""Packages and wheels that somebody made to do harm: each is refused with a clear word, or does none.

What a container's layers can try is in `test_layers`, what compression can in `test_unpacked`.
"""

import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections import deque
from pathlib import Path

import pytest
from tests.image.made import INFO, ar, member, package, row, tar, wheel

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import deb, packages, unpack_wheel
from troth.image.files import write_new
from troth.image.hardware import tools
from troth.image.tree import Tree


def install(*members: tarfile.TarInfo) -> Tree:
    return unpacked(package(*members))


def unpacked(data: bytes) -> Tree:
    tree = Tree()
    for path, found in packages.kept(data, owner="x", base=False):
        deb.place(found, tree, path, owner="x")
    return tree


def refused(said: str, *members: tarfile.TarInfo, kind: type[Exception] = Malformed) -> None:
    with pytest.raises(kind, match=said):
        install(*members)


@pytest.mark.parametrize("path", ["../etc/passwd", "usr/../../etc/x", "/etc/passwd", "//etc/x"])
def test_a_package_whose_paths_climb(path: str) -> None:
    refused("has the path", member(path, b"x"))
    refused("has the path", member(path, type=tarfile.SYMTYPE, linkname="x"))


def test_a_package_with_a_device() -> None:
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        refused("holds a device or pipe 'usr/x'", member("./usr/x", type=kind))


@pytest.mark.parametrize("target", ["/etc", "../../../etc", "/", "."])
def test_a_package_that_writes_through_its_own_link(target: str) -> None:
    link = member("./usr/share/a", type=tarfile.SYMTYPE, linkname=target)
    refused(
        "/usr/share/a/passwd of x lies below /usr/share/a of x, which is no folder",
        *(link, member("./usr/share/a/passwd", b"x")),
        kind=Misuse,
    )


@pytest.mark.parametrize("target", ["../../etc/shadow", "/etc/shadow", "usr/share/later", "usr"])
def test_a_package_with_a_second_name_of_what_it_lacks(target: str) -> None:
    first = member("./usr/share/a", type=tarfile.LNKTYPE, linkname=target)
    with pytest.raises(Malformed, match="which it lacks"):
        install(first, member("./usr/share/later", b"x"))


def test_a_link_that_leads_out_stays_text(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    tree = install(member("./usr/share/a", type=tarfile.SYMTYPE, linkname=str(outside)))
    assert tree.resolve("usr/share/a") is None
    place = tmp_path / "place"
    tools.write(tree, place)
    assert (place / "usr/share/a").is_symlink()
    assert outside.read_text() == "mine"


def holes(size: int) -> bytes:
    """An archive of a few hundred bytes that says it holds a file of any size (GNU's old form)."""
    header = bytearray(tarfile.TarInfo("usr/share/big").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[386:410] = b"%011o\0%011o\0" % (0, 0)  # one piece, of nothing
    header[483:495] = b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    return bytes(header) + bytes(1024)


def test_a_sparse_giant() -> None:
    data = ar(("data.tar", holes(1 << 60)))
    tracemalloc.start()
    with pytest.raises(Malformed, match="'usr/share/big' with holes"):
        list(deb.members(data, name="x.deb"))
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_a_file_that_is_larger_than_its_archive() -> None:
    item = tarfile.TarInfo("usr/share/big")
    item.size = 1 << 60
    data = ar(("data.tar", item.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(Malformed, match="x\\.deb"):
        list(deb.members(data, name="x.deb"))


@pytest.mark.parametrize("size", [-512, -1024, -(1 << 40)])
def test_a_size_below_zero(size: int) -> None:
    """It would lead some versions of `tarfile` back to the same header without end."""
    in_pax = tarfile.TarInfo("usr/share/x")
    in_pax.pax_headers = {"size": str(size)}
    plain = bytearray(tarfile.TarInfo("usr/share/x").tobuf(tarfile.GNU_FORMAT))
    plain[124:136] = b"\xff" + (size % (1 << 88)).to_bytes(11, "big")
    plain[148:156] = b"%06o\0 " % (sum(plain[:148]) + 8 * 32 + sum(plain[156:]))
    for header in (in_pax.tobuf(tarfile.PAX_FORMAT), bytes(plain)):
        first = tarfile.TarInfo("usr/share/first").tobuf(tarfile.GNU_FORMAT)
        tar_of_it = first + header + bytes(1024)
        with pytest.raises(Malformed, match=r"x\.deb.*damaged archive"):
            deque(deb.members(ar(("data.tar", tar_of_it)), name="x.deb"), maxlen=0)
        with pytest.raises(Malformed, match=r"x\.deb.*damaged archive"):
            deb.control(ar(("control.tar", tar_of_it)), name="x.deb")


def test_headers_about_headers_about_headers() -> None:
    item = tarfile.TarInfo("x")
    item.type, item.size = tarfile.XHDTYPE, 512
    about = item.tobuf(tarfile.USTAR_FORMAT) + b"11 path=x\n".ljust(512, b"\0")
    with pytest.raises(Malformed, match=r"x\.deb"):
        deque(deb.members(ar(("data.tar", about * 3000)), name="x.deb"), maxlen=0)


def test_a_million_files_in_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """One header again and again: 488 MiB of archive, of which most is never looked at."""
    monkeypatch.setattr(deb, "MAX_MEMBERS", 10_000)  # a twenty-fifth, for the time that it takes
    head = tarfile.TarInfo("usr/share/x").tobuf(tarfile.GNU_FORMAT)
    data = ar(("data.tar", head * 1_000_000 + bytes(1024)))
    tracemalloc.start()
    with pytest.raises(Malformed, match="more than 10000 files"):
        deque(deb.members(data, name="x.deb"), maxlen=0)
    assert tracemalloc.get_traced_memory()[1] < len(data) + (4 << 20)  # none is remembered
    tracemalloc.stop()


def test_a_million_files_in_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    row = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[20] * 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 47 * 10**6, 0, 0)

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(zipfile, "ZipFile", never)
    with pytest.raises(Malformed, match="more than 100000 files"):
        list(unpack_wheel.files(row * 1_000_000 + end, name="x.whl"))


def bomb(size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("a.py", bytes(size))
        archive.writestr(f"{INFO}/RECORD", "")
    return out.getvalue()


def test_a_bomb_that_says_how_large_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_wheel, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(Malformed, match="too large unpacked"):
        list(unpack_wheel.files(bomb(8 << 20), name="x.whl"))


def test_a_bomb_that_says_it_is_small() -> None:
    """No more is unpacked than it says, and that is not what its own sum is of."""
    size = 64 << 20
    data = bytearray(bomb(size))
    for mark, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        place = data.index(mark) + at
        assert int.from_bytes(data[place : place + 4], "little") == size
        data[place : place + 4] = (10).to_bytes(4, "little")
    tracemalloc.start()
    with pytest.raises(Malformed, match=r"x\.whl"):
        list(unpack_wheel.files(bytes(data), name="x.whl"))
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def record(*rows: str) -> str:
    return "".join(rows) + f"{INFO}/RECORD,,\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("a.py", b"2")], "another content than RECORD says"),
        ([row("a.py", b"1").replace("sha256", "md5")], "another content than RECORD says"),
        (["a.py,,\n"], "another content than RECORD says"),
        ([], "another content than RECORD says"),
        ([row("a.py", b"1").replace(",1\n", ",9\n")], "has 1 bytes, and RECORD says 9"),
        ([row("a.py", b"1"), row("a.py", b"2")], "a RECORD that says two things of a.py"),
        ([row("a.py", b"2"), row("a.py", b"1")], "a RECORD that says two things of a.py"),
    ],
)
def test_a_record_that_lies(rows: list[str], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        list(unpack_wheel.files(wheel({"a.py": b"1"}, record(*rows)), name="x.whl"))


def test_a_link_in_a_wheel_is_a_file_with_its_text() -> None:
    """zipfile knows of no links, and neither does a tree that a wheel fills."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        item = zipfile.ZipInfo("a.py")
        item.external_attr = 0o120777 << 16
        archive.writestr(item, "/etc/passwd")
        archive.writestr(f"{INFO}/RECORD", record(row("a.py", b"/etc/passwd")))
    assert ("a.py", b"/etc/passwd") in list(unpack_wheel.files(out.getvalue(), name="x.whl"))


def test_names_that_differ_in_case_only() -> None:
    """An image's own file system tells them apart, so both are kept."""
    tree = install(member("./usr/share/A", b"1"), member("./usr/share/a", b"2"))
    assert (tree["usr/share/A"].data, tree["usr/share/a"].data) == (b"1", b"2")


def test_a_disk_that_takes_two_names_for_one(tmp_path: Path) -> None:
    """As such a disk shows it: something is there already, perhaps a link that leads out."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "a").symlink_to(outside)
    with pytest.raises(Unavailable, match="differs in case only"):
        write_new(tmp_path / "a", b"theirs")
    assert outside.read_text() == "mine"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    tree = Tree()
    tree.add_file("usr/lib/python3.13/os.py", b"x", owner="x")
    outside = tmp_path / "outside"
    outside.write_text("mine")
    place = tmp_path / "place" / "usr" / "lib" / "python3.13"
    place.mkdir(parents=True)
    (place / "os.py").symlink_to(outside)
    with pytest.raises((Unavailable, OSError)):
        tools.write(tree, tmp_path / "place")
    assert outside.read_text() == "mine"


def test_an_archive_in_the_place_of_a_tree_is_not_followed() -> None:
    data = tar(member("usr", type=tarfile.SYMTYPE, linkname="/etc"), member("usr/x", b"1"))
    with pytest.raises(Misuse, match="which is no folder"):
        unpacked(ar(("data.tar", data)))
