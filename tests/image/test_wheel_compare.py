"""Two wheels: each planted difference is named, and equal is said of the same bytes alone."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.image.backend import wheel

from troth.errors import Malformed
from troth.image import wheel_compare

ABOUT = "thing-1.0.dist-info"
FILES = {
    "thing.py": b"print('a thing')\n" * 9,
    "other.py": b"made = '2020-01-01'\n",
    f"{ABOUT}/METADATA": b"Name: thing\nVersion: 1.0\n",
    f"{ABOUT}/WHEEL": b"Generator: tool 1\n",
}
GOOD = wheel(FILES)


def told(other: bytes) -> list[tuple[str, str, str]]:
    found = wheel_compare.differences(GOOD, other)
    return [(one.path, one.what, words.cause.name if words.cause else "") for one, words in found]


def again(change: Callable[[zipfile.ZipInfo], Any], *, order: int = 1, pack: int = 0) -> bytes:
    """The same members, of which the archive says something else."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as old, zipfile.ZipFile(made, "w") as new:
        for item in old.infolist()[::order]:
            data = old.read(item)
            change(item)
            new.writestr(item, data, compress_type=pack)
    return made.getvalue()


def _of(name: str, key: str, value: Any) -> Callable[[zipfile.ZipInfo], None]:
    def change(item: zipfile.ZipInfo) -> None:
        if item.filename == name:
            setattr(item, key, value)

    return change


def test_the_same_bytes_are_equal() -> None:
    assert told(GOOD) == []


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (wheel(FILES | {"thing.py": b"2\n"}), [("thing.py", "content", "another-source")]),
        (
            wheel(FILES | {"other.py": b"made = '2026-11-26'\n"}),
            [("other.py", "content", "a-time-stamp")],
        ),
        (
            wheel({n: d for n, d in FILES.items() if n != "other.py"}),
            [("other.py", "only", "a-file-too-many")],
        ),
        (wheel(FILES | {"new.py": b""}), [("new.py", "only", "a-file-too-many")]),
        (
            wheel(FILES | {f"{ABOUT}/WHEEL": b"Generator: tool 2\n"}),
            [(f"{ABOUT}/WHEEL", "content", "another-package")],
        ),
    ],
)
def test_another_content(other: bytes, found: list[tuple[str, str, str]]) -> None:
    record = (f"{ABOUT}/RECORD", "content", "a-wheel-packed-again")
    assert [one for one in told(other) if one[1] != "order"] == [*found, record]


def test_what_the_archive_says_of_a_member() -> None:
    mode = again(_of("thing.py", "external_attr", 0o100755 << 16))
    assert told(mode) == [("thing.py", "mode", "a-mode")]
    time = again(_of("thing.py", "date_time", (2026, 11, 26, 1, 2, 4)))
    assert told(time) == [("thing.py", "time", "a-time-stamp")]
    extra = again(_of("other.py", "extra", b"UT\x01\x00\x00"))
    assert told(extra) == [("other.py", "layout", "a-compressor")]
    order = again(lambda _: None, order=-1)
    assert told(order) == [("", "order", "an-order")]
    packed = again(lambda _: None, pack=zipfile.ZIP_DEFLATED)
    assert {one[1:] for one in told(packed)} == {("layout", "a-compressor")}


def test_another_level_of_the_same_compressor() -> None:
    made = []
    for level in (1, 9):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            item = zipfile.ZipInfo("a.py", (2020, 2, 2, 0, 0, 0))
            item.compress_type = zipfile.ZIP_DEFLATED
            text = b"".join(b"%d\n" % (n * n % 97) for n in range(5000))
            archive.writestr(item, text, compresslevel=level)
        made.append(out.getvalue())
    ((one, words),) = wheel_compare.differences(*made)
    assert (one.path, one.what) == ("a.py", "layout")
    assert str(one.first).startswith("packed to ")
    assert words.cause is not None and words.cause.name == "a-compressor"


def test_what_no_member_has() -> None:
    archive = io.BytesIO(GOOD)
    with zipfile.ZipFile(archive, "a") as more:
        more.comment = b"of the archive"
    for other in (archive.getvalue(), b"before" + GOOD):
        assert told(other) == [("", "layout", "a-compressor")]


@given(at=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7), cut=st.integers(0, len(GOOD) - 1))
def test_other_bytes_are_never_equal(at: int, bit: int, cut: int) -> None:
    flipped = bytearray(GOOD)
    flipped[at] ^= 1 << bit
    for other in (bytes(flipped), GOOD[:cut], GOOD + b"\0", b"\0" + GOOD):
        try:
            assert told(other)
        except Malformed:
            continue
