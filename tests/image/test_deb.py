"""Debian packages: what they install is read; what could harm, or is damaged, is refused."""

import lzma
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.image.made import ar, member, package, tar

from troth.errors import Malformed
from troth.image import deb


def _read(data: bytes) -> list[deb.Member]:
    return list(deb.members(data, name="x.deb"))


def _refused(data: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message) as caught:
        _read(data)
    assert caught.value.field == "x.deb"


def test_what_a_package_installs() -> None:
    data = package(
        member("./", type=tarfile.DIRTYPE),
        member("./usr/", type=tarfile.DIRTYPE),
        member("./usr/bin/tool", b"#!", mode=0o4755),
        member("./usr/share/text", b"text", mode=0o666),
        member("./usr/bin/link", type=tarfile.SYMTYPE, linkname="tool"),
        member("./usr/bin/again", type=tarfile.LNKTYPE, linkname="./usr/bin/tool"),
    )
    assert _read(data) == [
        deb.Member(path="", kind="folder"),
        deb.Member(path="usr", kind="folder"),
        deb.Member(path="usr/bin/tool", kind="file", data=b"#!", executable=True),
        deb.Member(path="usr/share/text", kind="file", data=b"text"),
        deb.Member(path="usr/bin/link", kind="link", target="tool"),
        deb.Member(path="usr/bin/again", kind="hard", target="usr/bin/tool"),
    ]


def test_an_archive_that_is_not_compressed() -> None:
    data = tar(member("./a", b"1"))
    assert _read(ar(("data.tar", data)))[0].data == b"1"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes(kind: bytes) -> None:
    _refused(package(member("./dev/mem", type=kind)), "holds a device or pipe 'dev/mem'")


def test_no_package() -> None:
    _refused(b"PK\3\4" + bytes(100), "is no Debian package")
    _refused(b"", "needs 8 bytes")
    _refused(ar(("debian-binary", b"2.0\n")), "holds no files")


@pytest.mark.parametrize("label", ["data.tar.gz", "data.tar.zst"])
def test_other_compressions_are_named(label: str) -> None:
    _refused(ar((label, b"x")), f"is compressed as {label}")


def test_damaged_members() -> None:
    good = ar(("data.tar.xz", lzma.compress(tar(member("./a", b"1")))))
    _refused(good[:66] + b"!!" + good[68:], "has a damaged member")
    _refused(good[:56] + b"-1        " + good[66:], "has a damaged member")
    _refused(good[:56] + b"9999999999" + good[66:], "needs 9999999999 bytes")


def test_damaged_compression() -> None:
    data = lzma.compress(tar(member("./a", b"1")))
    _refused(ar(("data.tar.xz", b"\x1f\x8b" + data)), "is not xz")
    _refused(ar(("data.tar.xz", data[:-4])), "is cut short, too large, or followed")
    _refused(ar(("data.tar.xz", data + b"more")), "is cut short, too large, or followed")
    _refused(ar(("data.tar.xz", data[:40] + bytes(8) + data[48:])), "cannot be unpacked")


def test_more_than_it_may_unpack_to(monkeypatch: pytest.MonkeyPatch) -> None:
    data = package(member("./a", bytes(100_000)))
    monkeypatch.setattr(deb, "MAX_UNPACKED", 50_000)
    _refused(data, "too large")


def test_a_damaged_archive() -> None:
    data = bytearray(tar(member("./a", b"1"), member("./b", b"2")))
    data[1024:1034] = b"\xff" * 10
    _refused(ar(("data.tar", bytes(data))), "has a damaged archive")


@given(cut=st.integers(0, 400), flip=st.integers(0, 8 * 400))
def test_damage_raises_only_our_errors(cut: int, flip: int) -> None:
    good = package(member("./usr/bin/tool", b"content", mode=0o755))
    changed = bytearray(good)
    changed[flip // 8 % len(good)] ^= 1 << flip % 8
    for data in (good[: cut % len(good)], bytes(changed)):
        try:
            _read(data)
        except Malformed:
            continue
