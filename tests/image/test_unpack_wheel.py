"""Wheels: every file is held against RECORD, and nothing leaves its folder."""

import contextlib
import io
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.image.made import INFO, row, wheel

from troth.errors import Malformed
from troth.image import unpack_wheel


def _read(data: bytes) -> dict[str, bytes]:
    return dict(unpack_wheel.files(data, name="pkg.whl"))


def _refused(data: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message) as caught:
        _read(data)
    assert caught.value.field == "pkg.whl"


def test_what_a_wheel_installs() -> None:
    found = _read(
        wheel(
            {
                "pkg/__init__.py": b"x = 1",
                f"{INFO}/METADATA": b"Name: pkg",
                "pkg-1.0.data/purelib/pure.py": b"pure",
                "pkg-1.0.data/platlib/fast.so": b"fast",
                "pkg-1.0.data/scripts/tool": b"#!python",
                "pkg-1.0.data/data/etc/rc": b"rc",
            }
        )
    )
    assert set(found) == {
        *("pkg/__init__.py", "pure.py", "fast.so", f"{INFO}/METADATA", f"{INFO}/RECORD")
    }
    assert found["pure.py"] == b"pure"


def test_a_file_that_record_denies() -> None:
    good = {"a.py": b"1", "b.py": b"2"}
    _refused(wheel(good, row("a.py", b"1")), "b.py has another content than RECORD says")
    _refused(wheel(good, row("a.py", b"1") + row("b.py", b"3")), "b.py has another content")
    _refused(wheel(good, row("a.py", b"1") + "b.py,,\n"), "b.py has another content")


def test_a_wheel_without_record() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.py", b"")
    _refused(out.getvalue(), "has no RECORD of its own")
    _refused(wheel({"other-1.0.dist-info/RECORD": b""}), "has no RECORD of its own")


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.py", "a/../../b", "a//b", "a\\..\\b"])
def test_paths_that_climb(path: str) -> None:
    _refused(wheel({path: b""}), "holds the path")


def test_no_wheel() -> None:
    _refused(b"", "is no wheel")
    _refused(b"PK\3\4" + bytes(50), "is no wheel")


def test_one_name_twice() -> None:
    out = io.BytesIO(wheel({"a.py": b"1"}))
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.py", b"2")
    _refused(out.getvalue(), "holds one name twice")


def test_more_than_it_may_unpack_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_wheel, "MAX_UNPACKED", 100)
    _refused(wheel({"a.py": bytes(200)}), "is too large unpacked")


def _packed(files: dict[str, bytes], how: int) -> bytes:
    """The same wheel, its members compressed in another way."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel(files))) as plain, zipfile.ZipFile(out, "w", how) as new:
        for item in plain.infolist():
            new.writestr(item.filename, plain.read(item))
    return out.getvalue()


COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
GOOD = [
    _packed({"pkg/__init__.py": b"x = 1\n" * 20, "pkg/b.py": b"y"}, how) for how in COMPRESSIONS
]


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_a_bound(how: int) -> None:
    _refused(_packed({"a.py": b"1"}, how), "is compressed as no wheel is")


@given(st.sampled_from(GOOD), st.integers(0, 1 << 20))
@example(GOOD[0], 4961)  # an offset before the start of the file
def test_damage_raises_only_our_errors(good: bytes, number: int) -> None:
    bit = number % (8 * len(good))
    changed = bytearray(good)
    changed[bit // 8] ^= 1 << bit % 8
    for data in (bytes(changed), good[: bit // 8]):
        with contextlib.suppress(Malformed):
            _read(data)
