"""The guest's memory: what may be mapped, and that nothing else is ever reached."""

import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from troth.errors import Malformed
from troth.runtime.vsock.memory import Memory, Region

PAGE = mmap.PAGESIZE
SIZE = 16 * PAGE
GUEST, USER = 0x10_0000, 0x7F00_0000_0000
_HUGETLB = 0x4  # MFD_HUGETLB


@pytest.fixture
def make() -> Iterator[Callable[..., int]]:
    made: list[int] = []

    def memfd(size: int = SIZE, flags: int = os.MFD_ALLOW_SEALING) -> int:
        descriptor = os.memfd_create("memory", flags | os.MFD_CLOEXEC)
        made.append(descriptor)
        os.ftruncate(descriptor, size)
        return descriptor

    yield memfd
    for descriptor in made:
        os.close(descriptor)


def region(**changed: int) -> Region:
    return Region(**({"guest": GUEST, "size": SIZE, "user": USER, "offset": 0} | changed))


def test_a_range_is_found_whole_or_not_at_all(make) -> None:
    file = make(3 * SIZE)
    os.pwrite(file, b"before", SIZE - 6)
    os.pwrite(file, b"first", SIZE)
    os.pwrite(file, b"last", 2 * SIZE - 4)
    os.pwrite(file, b"behind", 2 * SIZE)
    memory = Memory([region(offset=SIZE)], [file])
    assert bytes(memory.guest(GUEST, 5)) == b"first"
    assert bytes(memory.guest(GUEST + SIZE - 4, 4)) == b"last"
    assert bytes(memory.user(USER, 5)) == b"first"
    assert len(memory.guest(GUEST, SIZE)) == SIZE
    for address, length in (
        *(
            (GUEST - 1, 1),
            (GUEST - 1, 2),
            (GUEST, SIZE + 1),
            (GUEST + SIZE, 1),
            (GUEST + SIZE - 1, 2),
        ),
        *(
            (0, 1),
            (USER, 1),
            ((1 << 64) - 1, 2),
            (GUEST, 1 << 63),
            ((1 << 64) - PAGE, GUEST + 2 * PAGE),
        ),
    ):
        with pytest.raises(Malformed, match="not in one region"):
            memory.guest(address, length)
    memory.guest(GUEST, 5)[:] = b"FIRST"
    memory.close()
    assert os.pread(file, 11, SIZE - 6) == b"beforeFIRST"
    with pytest.raises(Malformed):
        memory.guest(GUEST, 1)


def test_a_range_over_two_regions_is_none(make) -> None:
    low, high = make(), make()
    memory = Memory([region(), region(guest=GUEST + SIZE, user=USER + 4 * SIZE)], [low, high])
    assert len(memory.guest(GUEST + SIZE, SIZE)) == SIZE
    with pytest.raises(Malformed):
        memory.guest(GUEST + SIZE - 1, 2)
    memory.close()


@pytest.mark.parametrize(
    ("stated", "word"),
    [
        ([], "0 regions"),
        ([region()] * 9, "9 regions"),
        ([region(size=0)], "region 0: is empty"),
        ([region(size=SIZE - 1)], "its size is not in whole pages"),
        ([region(guest=GUEST + 1)], "its guest is not in whole pages"),
        ([region(user=USER + 16)], "its user is not in whole pages"),
        ([region(offset=8)], "its offset is not in whole pages"),
        ([region(guest=(1 << 64) - PAGE)], "its guest and size pass"),
        ([region(user=(1 << 64) - PAGE)], "its user and size pass"),
        ([region(offset=(1 << 64) - PAGE)], "its offset and size pass"),
        ([region(size=(1 << 64) - PAGE, guest=0, user=0)], "more than 64 GiB"),
        ([region(size=SIZE + PAGE)], "ends beyond its file of"),
        ([region(offset=PAGE)], "ends beyond its file of"),
        ([region(offset=1 << 62)], "ends beyond its file of"),
        ([region(), region(user=USER + SIZE)], "overlap by their guest"),
        ([region(), region(guest=GUEST + SIZE)], "overlap by their user"),
        ([region(), region(guest=GUEST - PAGE, user=USER + SIZE)], "overlap by their guest"),
        ([region(), region(guest=GUEST + SIZE - PAGE, user=0)], "overlap by their guest"),
    ],
)
def test_regions_that_are_none_are_refused_by_name(make, stated, word) -> None:
    with pytest.raises(Malformed, match=word):
        Memory(stated, [make() for _ in stated])


def test_each_region_has_a_file(make) -> None:
    with pytest.raises(Malformed, match="1 regions with 2 files"):
        Memory([region()], [make(), make()])
    with pytest.raises(Malformed, match="1 regions with 0 files"):
        Memory([region()], [])


def test_a_file_that_may_shrink_is_sealed_first(make) -> None:
    file = make()
    memory = Memory([region()], [file])
    with pytest.raises(PermissionError):
        os.ftruncate(file, 0)
    assert bytes(memory.guest(GUEST, 4)) == bytes(4)
    memory.close()


def test_a_file_that_nothing_keeps_from_shrinking_is_refused(make, tmp_path: Path) -> None:
    plain = os.open(tmp_path / "plain", os.O_RDWR | os.O_CREAT)
    os.ftruncate(plain, SIZE)
    shared = os.open("/dev/shm", os.O_RDWR | os.O_TMPFILE)
    os.ftruncate(shared, SIZE)
    never = make(flags=0)
    read, write = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (plain, shared, never, read, null):
        with pytest.raises(Malformed, match="may shrink") as refused:
            Memory([region()], [descriptor])
        assert "memory-backend-memfd" in refused.value.fix
    for descriptor in (plain, shared, read, write, null):
        os.close(descriptor)


def test_huge_pages_are_refused(make) -> None:
    try:
        file = make(2 << 20, os.MFD_ALLOW_SEALING | _HUGETLB)
    except OSError as error:
        pytest.skip(f"this kernel makes no file of huge pages: {error.strerror}")
    with pytest.raises(Malformed, match="huge pages"):
        Memory([region(size=2 << 20)], [file])


def test_what_was_mapped_before_a_refusal_is_let_go(make) -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count("memfd:memory")

    with pytest.raises(Malformed):
        Memory([region(), region(guest=0, user=0, offset=PAGE)], [make(), make()])
    assert mapped() == 0
    memory = Memory([region()], [make()])
    view = memory.guest(GUEST, 10)
    assert mapped() == 1
    memory.close()
    view[0] = 1  # still somebody's
    del view
    assert mapped() == 0
