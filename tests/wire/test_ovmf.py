"""Firmware images: what is written is read back; whatever could be loaded in two ways is refused."""

import contextlib
import struct
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import firmware
from tests.wire.firmware import HASHES, PAGE, PAGES, RESET, SEV, block, image, tdx

from troth.errors import Malformed
from troth.wire import ovmf
from troth.wire.ovmf import SevKind, TdxKind

UNKNOWN = UUID("4c2eb361-7d9b-4cc3-8081-127c90d3d294")
TAIL = 1024  # of an image, in which its table lies


def _all(data: bytes) -> None:
    """Everything that can be asked of an image."""
    read = ovmf.read(data)
    for ask in (read.reset_address, read.hashes_address, read.sev_sections, read.tdx_sections):
        with contextlib.suppress(Malformed):
            ask()


def _sev(*sections: tuple[int, ...]) -> tuple[ovmf.SevSection, ...]:
    return ovmf.read(image(sev=sections)).sev_sections()


def _tdx(*sections: tuple[int, ...]) -> tuple[ovmf.TdxSection, ...]:
    return ovmf.read(image(intel=sections)).tdx_sections()


def _with_tdx(index: int, **changes: int) -> tuple[tuple[int, ...], ...]:
    names = ("offset", "raw", "address", "size", "kind", "attributes")
    sections = list(tdx())
    values = dict(zip(names, sections[index], strict=True)) | changes
    return (*sections[:index], tuple(values[name] for name in names), *sections[index + 1 :])


def test_what_is_written_is_read_back() -> None:
    data = image()
    read = ovmf.read(data)
    assert read.address + len(data) == 1 << 32
    assert read.reset_address() == RESET
    assert read.hashes_address() == HASHES[0]
    assert [(item.address, item.size, item.kind) for item in read.sev_sections()] == list(SEV)
    sections = read.tdx_sections()
    assert [(item.address, item.size, item.kind) for item in sections] == [
        (address, size, kind) for _, _, address, size, kind, _ in tdx()
    ]
    code, variables, *others = sections
    assert code.measured and bytes(code.data) == data[2 * PAGE :]
    assert not variables.measured and bytes(variables.data) == data[: 2 * PAGE]
    assert not any(item.measured or item.data for item in others)


def test_a_block_that_nobody_knows_is_kept() -> None:
    read = ovmf.read(image(extra=block(UNKNOWN, b"anything")))
    assert read.table[UNKNOWN].data == b"anything"
    assert read.data[read.table[UNKNOWN].offset :].startswith(b"anything")
    assert read.reset_address() == RESET


@pytest.mark.parametrize("data", [b"", b"x", bytes(PAGE - 1), bytes(PAGE + 1)])
def test_an_image_is_whole_pages(data: bytes) -> None:
    with pytest.raises(Malformed, match="are not between"):
        ovmf.read(data)


def test_an_image_has_an_end() -> None:
    with pytest.raises(Malformed, match="are not between"):
        ovmf.read(bytes(ovmf.MAX_SIZE + PAGE))


def test_the_largest_image() -> None:
    assert ovmf.read(image(pages=ovmf.MAX_SIZE // PAGE)).address == 0xFF000000


def test_a_table_from_the_first_byte_on() -> None:
    size = PAGE - 32
    data = block(UNKNOWN, bytes(size - 36)) + struct.pack("<H", size) + ovmf.FOOTER.bytes_le
    assert len(ovmf.read(data + bytes(32)).table[UNKNOWN].data) == size - 36


def test_a_block_without_data_and_nothing_else() -> None:
    read = ovmf.read(image(sev=None, intel=(), hashes=None, reset=None, extra=block(UNKNOWN, b"")))
    assert list(read.table) == [UNKNOWN]


def test_variables_are_no_firmware() -> None:
    with pytest.raises(Malformed, match="no table of GUIDs") as caught:
        ovmf.read(bytes(4 * PAGE))
    assert "variables" in caught.value.fix


@pytest.mark.parametrize("size", [0, 17, 0xFFFF])
def test_a_table_of_a_wrong_size(size: int) -> None:
    data = bytearray(image(pages=1, intel=(), sev=None))
    data[-50:-48] = struct.pack("<H", size)
    with pytest.raises(Malformed) as caught:
        ovmf.read(bytes(data))
    assert caught.value.field.startswith("table")


@pytest.mark.parametrize(
    ("less", "why"), [(1, "are left"), (5, "are no block"), (-1, "are no block")]
)
def test_a_table_that_its_blocks_do_not_fill(less: int, why: str) -> None:
    data = bytearray(image())
    (size,) = struct.unpack("<H", data[-50:-48])
    data[-50:-48] = struct.pack("<H", size - less)
    with pytest.raises(Malformed, match=why):
        ovmf.read(bytes(data))


@pytest.mark.parametrize("size", [0, 17, 0x0FFF, 0xFFFF])
def test_a_block_of_a_wrong_size(size: int) -> None:
    data = bytearray(image())
    data[-68:-66] = struct.pack("<H", size)
    with pytest.raises(Malformed, match="bytes are left"):
        ovmf.read(bytes(data))


def test_a_block_that_is_there_twice() -> None:
    with pytest.raises(Malformed, match="it is there twice"):
        ovmf.read(image(extra=block(ovmf.SEV_ES_RESET, bytes(4))))


def test_blocks_that_are_absent() -> None:
    read = ovmf.read(image(sev=None, intel=(), hashes=None, reset=None))
    assert read.hashes_address() is None
    for ask in (read.reset_address, read.sev_sections, read.tdx_sections):
        with pytest.raises(Malformed, match="has no block"):
            ask()


def test_a_reset_address_of_zero() -> None:
    with pytest.raises(Malformed, match="it is zero"):
        ovmf.read(image(reset=0)).reset_address()


@pytest.mark.parametrize("data", [b"", b"123", b"12345"])
def test_a_number_is_four_bytes(data: bytes) -> None:
    read = ovmf.read(image(reset=None, extra=block(ovmf.SEV_ES_RESET, data)))
    with pytest.raises(Malformed):
        read.reset_address()


@pytest.mark.parametrize("area", [(0x810000, 175), (0x810F51, 0x400), (0x810000, 0), (0, 1)])
def test_an_area_that_holds_no_hashes(area: tuple[int, int]) -> None:
    with pytest.raises(Malformed, match="do not hold 176 bytes"):
        ovmf.read(image(hashes=area)).hashes_address()


def test_the_last_area_that_holds_hashes() -> None:
    assert ovmf.read(image(hashes=(0x810F50, 176))).hashes_address() == 0x810F50
    assert ovmf.read(image(hashes=(0, 0))).hashes_address() is None


@pytest.mark.parametrize("size", [7, 9])
def test_an_area_is_two_numbers(size: int) -> None:
    read = ovmf.read(image(hashes=None, extra=block(ovmf.SEV_HASHES, bytes(size))))
    with pytest.raises(Malformed):
        read.hashes_address()


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, b"VESA"), (4, b"\x00\x00\x00\x00"), (4, b"\xff\xff\xff\xff"), (8, b"\x02\x00\x00\x00")]
    + [(12, struct.pack("<I", count)) for count in (0, 1, 65, 0xFFFFFFFF)],
)
@pytest.mark.parametrize("signature", [b"ASEV", b"TDVF"])
def test_a_descriptor_that_does_not_describe(signature: bytes, at: int, value: bytes) -> None:
    data = bytearray(image())
    start = data.rindex(signature) + at
    data[start : start + 4] = value
    read = ovmf.read(bytes(data))
    with pytest.raises(Malformed):
        _ = read.sev_sections() if signature == b"ASEV" else read.tdx_sections()


def test_a_descriptor_from_the_first_byte_on() -> None:
    back = struct.pack("<I", PAGES * PAGE)
    data = bytearray(image(sev=None, extra=block(ovmf.SEV_METADATA, back)))
    data[:28] = struct.pack("<4s6I", b"ASEV", 28, 1, 1, 0x800000, PAGE, 1)
    assert [item.address for item in ovmf.read(bytes(data)).sev_sections()] == [0x800000]


def test_a_descriptor_before_the_image() -> None:
    back = struct.pack("<I", PAGES * PAGE + 1)
    with pytest.raises(Malformed, match="before the end is outside"):
        ovmf.read(image(sev=None, extra=block(ovmf.SEV_METADATA, back))).sev_sections()


def test_as_many_sections_and_as_much_memory_as_allowed() -> None:
    sections = tuple((0x800000 + index * PAGE, PAGE, 1) for index in range(ovmf.MAX_SECTIONS))
    assert len(_sev(*sections)) == ovmf.MAX_SECTIONS
    assert _sev((0x10000, ovmf.MAX_PREPARED - PAGES * PAGE, 1))
    with pytest.raises(Malformed, match="is the limit"):
        _sev((0x10000, ovmf.MAX_PREPARED - (PAGES - 1) * PAGE, 1))


@pytest.mark.parametrize("back", [0, 3, 15, 16, PAGES * PAGE + 1, 0xFFFFFFFF])
def test_a_descriptor_elsewhere(back: int) -> None:
    data = image(sev=None, extra=block(ovmf.SEV_METADATA, struct.pack("<I", back)))
    with pytest.raises(Malformed):
        ovmf.read(data).sev_sections()


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ((0x800001, PAGE, 1), "are not whole pages"),
        ((0x800000, PAGE + 1, 1), "are not whole pages"),
        ((0x800000, 0, 1), "are not whole pages"),
        ((0xFFFFF000, 2 * PAGE, 1), "are not whole pages"),
        ((0x800000, PAGE, 0), "is unknown"),
        ((0x800000, PAGE, 5), "is unknown"),
        ((0x800000, PAGE, 0xFFFFFFFF), "is unknown"),
        ((0x800000, 2 * PAGE, 2), "where one page is needed"),
        ((0x800000, 2 * PAGE, 3), "where one page is needed"),
        ((0x800000, 2 * PAGE, 0x10), "where one page is needed"),
        ((0xFFFFF000, PAGE, 1), "two sections cover"),
        ((0x10000, ovmf.MAX_PREPARED, 1), "is the limit"),
    ],
)
def test_a_section_of_amds_that_is_refused(section: tuple[int, int, int], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        _sev(section)


def test_sections_of_amds_that_overlap() -> None:
    _sev((0x800000, 2 * PAGE, 1), (0x802000, PAGE, 1))
    with pytest.raises(Malformed, match="two sections cover the memory at 0x801000"):
        _sev((0x801000, PAGE, 1), (0x800000, 2 * PAGE, 1))


@pytest.mark.parametrize("kind", [SevKind.SECRETS, SevKind.CPUID, SevKind.KERNEL_HASHES])
def test_one_page_each(kind: SevKind) -> None:
    with pytest.raises(Malformed, match="one page each"):
        _sev((0x800000, PAGE, kind), (0x801000, PAGE, kind))


@pytest.mark.parametrize(
    ("index", "changes", "why"),
    [
        (0, {"attributes": 0}, "would give every image one MRTD"),
        (0, {"attributes": 2}, "is not one of OVMF's"),
        (0, {"attributes": 3}, "is not one of OVMF's"),
        (0, {"attributes": 1 << 31}, "is not one of OVMF's"),
        (0, {"raw": 0}, "of the image for"),
        (0, {"raw": PAGE}, "of the image for"),
        (0, {"size": 2 * PAGE}, "of the image for"),
        (0, {"offset": 3 * PAGE}, "leave the image"),
        (0, {"offset": 0xFFFFFFFF}, "leave the image"),
        (0, {"kind": 1}, "there must be code"),
        (1, {"kind": 0}, "would give every image one MRTD"),
        (2, {"raw": PAGE}, "holds none"),
        (2, {"offset": PAGE}, "holds none"),
        (2, {"kind": 4}, "is not one of OVMF's"),
        (2, {"kind": 7}, "is not one of OVMF's"),
        (2, {"kind": 2}, "one handoff block"),
        (2, {"address": 0x810800}, "are not whole pages"),
        (2, {"size": 0x3001}, "are not whole pages"),
        (2, {"size": 0}, "are not whole pages"),
        (2, {"address": (1 << 64) - PAGE, "size": PAGE}, "are not whole pages"),
        (2, {"size": (1 << 64) - PAGE}, "are not whole pages"),
        (2, {"address": 1 << 40, "size": 1 << 50}, "is the limit"),
        (2, {"address": 0x809000}, "two sections cover"),
        (3, {"kind": 3}, "one handoff block"),
        (3, {"attributes": 1}, "the handoff block is the loader's"),
    ],
)
def test_a_section_of_intels_that_is_refused(index: int, changes: dict[str, int], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        _tdx(*_with_tdx(index, **changes))


def test_an_image_without_its_variables_says_what_is_missing() -> None:
    with pytest.raises(Malformed) as caught:
        ovmf.read(image()[2 * PAGE :]).tdx_sections()
    assert "with its variables" in caught.value.fix


def test_measured_memory_is_taken() -> None:
    assert _tdx(*_with_tdx(2, attributes=1))[2].measured
    assert _tdx(*_with_tdx(1, attributes=1))[1].kind is TdxKind.VARIABLES


def test_cut_anywhere() -> None:
    data = image()
    for size in [*range(0, len(data), PAGE), *range(len(data) - 300, len(data))]:
        with pytest.raises(Malformed):
            ovmf.read(data[:size])
        with contextlib.suppress(Malformed):
            _all(data[size:])


def test_every_bit_of_the_tables() -> None:
    data = bytearray(image(pages=4, intel=tdx(4)))
    for bit in range(8 * (len(data) - TAIL - 400), 8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(Malformed):
            _all(bytes(data))
        data[bit // 8] ^= 1 << bit % 8


@given(st.binary(max_size=2 * PAGE))
def test_any_bytes_before_a_footer(noise: bytes) -> None:
    rest = bytes(-(len(noise) + 50) % PAGE)
    size = struct.pack("<H", min(0xFFFF, len(noise) + 18))
    with contextlib.suppress(Malformed):
        _all(rest + noise + size + ovmf.FOOTER.bytes_le + bytes(32))


@given(st.lists(st.tuples(*[st.integers(0, 0xFFFFFFFF)] * 3), max_size=70))
def test_any_sections_of_amds(sections: list[tuple[int, int, int]]) -> None:
    with contextlib.suppress(Malformed):
        _sev(*sections)


_u32, _u64 = st.integers(0, 0xFFFFFFFF), st.integers(0, (1 << 64) - 1)


@given(st.lists(st.tuples(_u32, _u32, _u64, _u64, _u32, _u32), min_size=1, max_size=20))
def test_any_sections_of_intels(sections: list[tuple[int, ...]]) -> None:
    with pytest.raises(Malformed):
        _tdx(*sections)


@pytest.mark.firmware
def test_real_images_are_read_whole() -> None:
    for path, read in firmware.installed():
        assert read.reset_address() > 0, path
        read.hashes_address()
        for name, ask in (
            (ovmf.SEV_METADATA, read.sev_sections),
            (ovmf.TDX_METADATA, read.tdx_sections),
        ):
            if name not in read.table:
                continue
            try:
                assert ask()
            except Malformed as refused:
                # A build for one vendor lists sections of no size for the other's; code without
                # its variables leads to no MRTD.
                assert "0x0 bytes at 0x0" in str(refused) or "variables" in refused.fix, path  # noqa: PT017


def test_what_should_be_read_as_firmware() -> None:
    assert ovmf.is_firmware(image())
    assert ovmf.is_firmware(memoryview(image()))
    assert ovmf.is_firmware(bytes(40) + b"_FVH" + bytes(4096))
    for data in (b"", bytes(16), bytes(4096), image()[:-1], b"_FVH" + bytes(4096)):
        assert not ovmf.is_firmware(data)
