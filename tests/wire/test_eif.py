"""EIF: what is written is read back, and everything that loaders could read in two ways is refused."""

import contextlib
import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse
from troth.wire import eif
from troth.wire.eif import Eif, Kind, Section

KERNEL = Section(kind=Kind.KERNEL, pieces=(b"kernel",))
LINE = Section(kind=Kind.COMMAND_LINE, pieces=(b"console=ttyS0",))
METADATA = Section(kind=Kind.METADATA, pieces=(b"{}",))
RAMDISK = Section(kind=Kind.RAMDISK, pieces=(b"first",))
SECOND = Section(kind=Kind.RAMDISK, pieces=(b"second ", b"ramdisk"))
SIGNATURE = Section(kind=Kind.SIGNATURE, pieces=(b"signed",))
USUAL = (KERNEL, LINE, METADATA, RAMDISK, SECOND)
OFFSETS, SIZES = 0x1C, 0x11C


def _small() -> bytes:
    return eif.pack(Eif(sections=USUAL, default_memory=1 << 30, default_cpus=2))


def _sealed(data: bytes | bytearray) -> bytes:
    """With the CRC that fits, as an attacker would."""
    crc = zlib.crc32(data[0x224:], zlib.crc32(data[:0x220]))
    return bytes(data[:0x220]) + crc.to_bytes(4, "big") + bytes(data[0x224:])


def _changed(at: int, new: bytes, data: bytes | None = None) -> bytes:
    result = bytearray(_small() if data is None else data)
    result[at : at + len(new)] = new
    return _sealed(result)


def _raw(kinds: list[tuple[int, bytes]], *, version: int = 4) -> bytes:
    """A file made from nothing but the format's description."""
    head = bytearray(0x224)
    head[:8] = b".eif" + version.to_bytes(2, "big") + bytes(2)
    head[0x1A:0x1C] = len(kinds).to_bytes(2, "big")
    body = b""
    for index, (kind, data) in enumerate(kinds[:32]):
        offset = (0x224 + len(body)).to_bytes(8, "big")
        head[OFFSETS + 8 * index : OFFSETS + 8 * index + 8] = offset
        head[SIZES + 8 * index : SIZES + 8 * index + 8] = len(data).to_bytes(8, "big")
        body += kind.to_bytes(2, "big") + bytes(2) + len(data).to_bytes(8, "big") + data
    return _sealed(head + body)


def _refused(data: bytes, field: str, message: str = "", offset: int | None = None) -> None:
    with pytest.raises(Malformed) as caught:
        eif.read(data)
    assert caught.value.field == field
    assert message in str(caught.value)
    if offset is not None:
        assert caught.value.offset == offset


def test_what_is_written_is_read_back() -> None:
    image = eif.read(_small())
    assert [s.kind for s in image.sections] == [s.kind for s in USUAL]
    assert [bytes(s.data) for s in image.sections] == [bytes(s.data) for s in USUAL]
    assert (image.version, image.flags) == (4, 0)
    assert (image.default_memory, image.default_cpus) == (1 << 30, 2)
    assert image.size == len(_small())
    assert bytes(image.kernel.data) == b"kernel"
    assert bytes(image.command_line.data) == b"console=ttyS0"
    assert [bytes(s.data) for s in image.ramdisks] == [b"first", b"second ramdisk"]
    only = image.only(Kind.METADATA)
    assert only is not None
    assert bytes(only.data) == b"{}"
    assert image.only(Kind.SIGNATURE) is None


def test_the_layout_is_the_formats() -> None:
    data = _small()
    assert data == _changed(0, b"", data)
    bare = bytearray(_raw([(s.kind, bytes(s.data)) for s in USUAL]))
    bare[8:24] = (1 << 30).to_bytes(8, "big") + (2).to_bytes(8, "big")
    assert data == _sealed(bare)


def test_offsets_point_at_the_data_in_the_file() -> None:
    data = _small()
    image = eif.read(data)
    for section, header in zip(image.sections, eif.layout(image), strict=True):
        assert section.offset == header + 12
        assert data[section.offset : section.offset + section.size] == bytes(section.data)


def test_reading_copies_nothing() -> None:
    data = _small()
    for section in eif.read(data).sections:
        (piece,) = section.pieces
        assert isinstance(piece, memoryview)
        assert piece.obj is data


def test_a_stream_gets_the_same_bytes() -> None:
    out = io.BytesIO()
    image = Eif(sections=USUAL, default_memory=1 << 30, default_cpus=2)
    eif.write(out, image)
    assert out.getvalue() == _small() == eif.pack(image)


@pytest.mark.parametrize("version", [2, 3])
def test_older_versions_are_read_and_not_written(version: int) -> None:
    image = eif.read(_raw([(1, b"k"), (2, b"l"), (3, b"r")], version=version))
    assert image.version == version
    with pytest.raises(Misuse, match="version 4 is written"):
        eif.pack(image)


def test_the_other_architecture_is_read() -> None:
    assert eif.read(_changed(6, b"\0\1")).flags == eif.FLAG_AARCH64


@pytest.mark.parametrize(
    ("at", "new", "field"),
    [
        (0, b".elf", "eif.magic"),
        (4, b"\0\1", "eif.version"),
        (4, b"\0\5", "eif.version"),
        (6, b"\0\2", "eif.flags"),
        (6, b"\x80\1", "eif.flags"),
        (0x18, b"\0\1", "eif.reserved"),
        (0x1A, b"\0\0", "eif.num_sections"),
        (0x1A, b"\0\1", "eif.num_sections"),
        (0x1A, b"\0\x21", "eif.num_sections"),
        (0x1A, b"\xff\xff", "eif.num_sections"),
        (OFFSETS + 8 * 5 + 7, b"\1", "eif.section_offsets[5]"),
        (OFFSETS + 8 * 31 + 7, b"\1", "eif.section_offsets[31]"),
        (SIZES + 8 * 5 + 7, b"\1", "eif.section_sizes[5]"),
        (SIZES + 8 * 31 + 7, b"\1", "eif.section_sizes[31]"),
        (0x21C, b"\0\0\0\1", "eif.unused"),
    ],
)
def test_a_header_that_says_more_or_less(at: int, new: bytes, field: str) -> None:
    _refused(_changed(at, new), field)


def test_where_the_header_is_wrong_is_said() -> None:
    _refused(_changed(0, b".elf"), "eif.magic", "is 2e656c66, not 2e656966", 0)
    _refused(_changed(4, b"\0\5"), "eif.version", "is 5; 2 to 4 are known", 4)
    _refused(_changed(6, b"\0\2"), "eif.flags", "are 0x0002; only bit 0 is defined", 6)
    _refused(_changed(0x18, b"\0\1"), "eif.reserved", "is not zero", 0x18)
    _refused(_changed(0x1A, b"\0\1"), "eif.num_sections", "is 1; 2 to 32 are allowed", 0x1A)
    at = SIZES + 8 * 31
    _refused(_changed(at, b"\1"), "eif.section_sizes[31]", "there is no such section", at)
    _refused(_changed(0x21C, b"\1"), "eif.unused", "is not zero", 0x21C)


def test_a_table_that_points_elsewhere() -> None:
    offsets = eif.layout(eif.read(_small()))
    for index, header in enumerate(offsets):
        for wrong in (0, header - 1, header + 1, offsets[index - 1], 1 << 63):
            changed = _changed(OFFSETS + 8 * index, wrong.to_bytes(8, "big"))
            field = f"eif.section_offsets[{index}]"
            said = f"is {wrong}, but the section begins at byte {header}"
            _refused(changed, field, said, OFFSETS + 8 * index)


def test_sections_that_overlap_or_leave_a_gap() -> None:
    """Table and section headers agree with each other, but not with the file's order."""
    data = bytearray(_small())
    first, second = eif.layout(eif.read(bytes(data)))[:2]
    data[OFFSETS + 8 : OFFSETS + 16] = first.to_bytes(8, "big")
    data[SIZES + 8 : SIZES + 16] = data[SIZES : SIZES + 8]
    _refused(_sealed(data), "eif.section_offsets[1]")
    gap = bytearray(_small())
    gap[second:second] = bytes(4)
    for index in range(1, len(USUAL)):
        at = OFFSETS + 8 * index
        gap[at : at + 8] = (int.from_bytes(gap[at : at + 8], "big") + 4).to_bytes(8, "big")
    _refused(_sealed(gap), "eif.section_offsets[1]")


@pytest.mark.parametrize(
    ("shift", "new", "field", "message", "where"),
    [
        (0, b"\0\0", "eif.sections[1].type", "is 0; 1 to 5 are known", 0),
        (0, b"\0\6", "eif.sections[1].type", "is 6; 1 to 5 are known", 0),
        (2, b"\0\1", "eif.sections[1].flags", "are not zero", 2),
        (4, b"\xff" * 8, "eif.sections[1].size", "but the table says 13", 4),
        (11, b"\x0c", "eif.sections[1].size", "is 12, but the table says 13", 4),
    ],
)
def test_a_section_header_that_disagrees(
    shift: int, new: bytes, field: str, message: str, where: int
) -> None:
    header = eif.layout(eif.read(_small()))[1]
    _refused(_changed(header + shift, new), field, message, header + where)


@pytest.mark.parametrize("size", [15, 1 << 32, (1 << 64) - 1])
def test_a_size_beyond_the_end_allocates_nothing(size: int) -> None:
    data = bytearray(_small())
    header = eif.layout(eif.read(bytes(data)))[4]
    for at in (SIZES + 8 * 4, header + 4):
        data[at : at + 8] = size.to_bytes(8, "big")
    message = f"is {size}, but 14 bytes are left"
    _refused(_sealed(data), "eif.sections[4].size", message, header + 4)
    with pytest.raises(Malformed) as caught:
        eif.read(_sealed(data))
    assert "copy it again" in caught.value.fix


@pytest.mark.parametrize(
    ("kind", "limit"),
    [(Kind.SIGNATURE, 32768), (Kind.METADATA, 1 << 20), (Kind.COMMAND_LINE, 1 << 16)],
)
def test_sections_have_their_limits(kind: Kind, limit: int) -> None:
    def with_size(size: int) -> bytes:
        sizes = {Kind.KERNEL: 1, Kind.COMMAND_LINE: 1, Kind.METADATA: 1, Kind.RAMDISK: 1}
        sizes[kind] = size
        return _raw([(int(k), bytes(n)) for k, n in sizes.items()])

    assert eif.read(with_size(limit)).only(kind) is not None
    with pytest.raises(Malformed, match=f"is {limit + 1}; .* may have {limit} bytes") as caught:
        eif.read(with_size(limit + 1))
    assert caught.value.field.endswith(".size")


def test_trailing_bytes() -> None:
    data = _sealed(_small() + b"\0")
    _refused(data, "eif.end", "1 bytes follow", len(data) - 1)


def test_the_wrong_crc() -> None:
    data = bytearray(_small())
    data[0x223] ^= 1
    _refused(bytes(data), "eif.crc32", "the bytes give", 0x220)
    with pytest.raises(Malformed) as caught:
        eif.read(bytes(data))
    assert "get the file again" in caught.value.fix


K, L, R, S, M = (1, b"k"), (2, b"l"), (3, b"r"), (4, b"s"), (5, b"m")


@pytest.mark.parametrize(
    ("version", "kinds", "message"),
    [
        (4, [L, K, M, R], "begins with command_line"),
        (4, [K, M, R], "has 0 of kind command_line, version 4 has 1"),
        (4, [K, L, M], "has 0 of kind ramdisk, version 4 has 1 to 32"),
        (4, [K, L, R], "has 0 of kind metadata, version 4 has 1"),
        (4, [L, M, R], "has 0 of kind kernel"),
        (4, [K, K, L, M, R], "has 2 of kind kernel"),
        (4, [K, L, L, M, R], "has 2 of kind command_line"),
        (4, [K, L, M, M, R], "has 2 of kind metadata"),
        (4, [K, L, M, R, S, S], "has 2 of kind signature, version 4 has 0 to 1"),
        (3, [K, L, M, R], "has 1 of kind metadata, version 3 has 0"),
        (3, [K, L, R, S, S], "has 2 of kind signature"),
        (2, [K, L, R, S], "has 1 of kind signature, version 2 has 0"),
    ],
)
def test_how_many_of_each(version: int, kinds: list[tuple[int, bytes]], message: str) -> None:
    _refused(_raw(kinds, version=version), "eif.sections", message)


@pytest.mark.parametrize(
    ("version", "kinds"),
    [(4, [K, L, M, R, S]), (4, [K, R, L, R, M]), (3, [K, L, R, S]), (2, [K, L, R, R])],
)
def test_orders_that_loaders_take(version: int, kinds: list[tuple[int, bytes]]) -> None:
    assert [s.kind for s in eif.read(_raw(kinds, version=version)).sections] == [
        k for k, _ in kinds
    ]


def test_as_many_ramdisks_as_fit() -> None:
    assert len(eif.read(_raw([K, L, M, *[R] * 29])).ramdisks) == 29
    with pytest.raises(Malformed, match="has 33; 32 are allowed"):
        Eif(sections=(KERNEL, LINE, METADATA, *[RAMDISK] * 30))


def test_an_image_no_loader_takes_cannot_be_made() -> None:
    with pytest.raises(Malformed, match="kernel"):
        Eif(sections=(LINE, METADATA, RAMDISK))


def test_every_truncation_is_refused() -> None:
    data = _small()
    for size in range(len(data)):
        with pytest.raises(Malformed):
            eif.read(data[:size])


def test_every_bit_counts() -> None:
    """The CRC covers every byte; with a CRC made to fit, what is still read is what it says it is."""
    data = _small()
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Malformed):
            eif.read(bytes(changed))
        try:
            image = eif.read(_sealed(changed))
        except Malformed:
            continue
        if image.version == eif.VERSION:
            assert eif.pack(image) == _sealed(changed)


SECTIONS = st.lists(
    st.lists(st.binary(max_size=20), min_size=1, max_size=3), min_size=1, max_size=5
)


@given(ramdisks=SECTIONS, memory=st.integers(0, 2**64 - 1), cpus=st.integers(0, 2**64 - 1))
def test_any_image_comes_back(ramdisks: list[list[bytes]], memory: int, cpus: int) -> None:
    disks = tuple(Section(kind=Kind.RAMDISK, pieces=tuple(pieces)) for pieces in ramdisks)
    image = Eif(sections=(KERNEL, LINE, METADATA, *disks), default_memory=memory, default_cpus=cpus)
    data = eif.pack(image)
    back = eif.read(data)
    assert eif.pack(back) == data
    assert (back.default_memory, back.default_cpus, back.size) == (memory, cpus, len(data))
    assert [bytes(s.data) for s in back.ramdisks] == [b"".join(pieces) for pieces in ramdisks]


@given(
    edits=st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=9)), max_size=4)
)
def test_hostile_bytes_raise_only_our_errors(edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(_small())
    for at, new in edits:
        data[at : at + len(new)] = new
    for candidate in (bytes(data), _sealed(data)):
        with contextlib.suppress(Malformed):
            eif.read(candidate)


@given(st.binary(max_size=600))
def test_junk_is_refused(data: bytes) -> None:
    for candidate in (data, b".eif\0\4\0\0" + data):
        with pytest.raises(Malformed):
            eif.read(candidate)
