"""TCG event logs: what real firmware wrote is read whole, and nothing else is read at all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.tdx.make_log import ccel_table, event, header, u16, u32, u64

from troth.errors import Malformed
from troth.wire import ccel, tcg

LOGS = {
    "google-cos113.ccel_data.bin": (43, 244043),
    "dstack-ccel.bin": (18, 63603),
    "trustee-aael-alibaba.ccel_data.bin": (87, 8),
    "trustee-grub.ccel_data.bin": (37, 50406),
    "trustee-ovmf.ccel_data.bin": (20, 63416),
}
ONE = header() + event(1, tcg.EV_SEPARATOR, bytes(4))


def vector(vectors: Path, name: str) -> bytes:
    return (vectors / "tdx" / "eventlog" / name).read_bytes()


@pytest.mark.parametrize("name", LOGS)
def test_real_logs(vectors: Path, name: str) -> None:
    data = vector(vectors, name)
    log = tcg.read(data)
    assert (len(log.events), log.padding) == LOGS[name]
    assert dict(log.spec_id.algorithms) == {tcg.SHA384: 48}
    assert log.spec_id.version == (2, 0, 0)
    # Written down again they are the very same bytes: nothing was passed over.
    again = data[:65] + b"".join(event(e.index, e.type, e.data, e.digests[12]) for e in log.events)
    assert again + b"\xff" * log.padding == data
    assert tcg.read(again).events == log.events


def test_real_ccel_table(vectors: Path) -> None:
    table = ccel.read(vector(vectors, "google-cos113.ccel_table.bin"))
    assert (table.cc_type, table.cc_subtype, table.oem) == (2, 0, "INTEL")
    assert table.log_area_size == len(vector(vectors, "google-cos113.ccel_data.bin"))


def test_several_algorithms() -> None:
    both = u16(0x0C) + b"\1" * 48 + u16(0x04) + b"\2" * 20
    body = u32(3) + u32(0xD) + u32(2) + both + u32(2) + b"hi"
    log = tcg.read(header(((0x04, 20), (0x0C, 48)), vendor=b"troth") + body)
    assert log.spec_id.vendor == b"troth"
    assert dict(log.events[0].digests) == {12: b"\1" * 48, 4: b"\2" * 20}
    assert (log.events[0].index, log.events[0].data, log.padding) == (3, b"hi", 0)
    with pytest.raises(TypeError):
        log.events[0].digests[12] = b""  # type: ignore[index]


@pytest.mark.parametrize("byte", [b"\xff", b"\0"])
def test_padding_is_allowed_and_nothing_in_it(byte: bytes) -> None:
    for size in (1, 3, 4, 7, 8, 64):
        assert tcg.read(ONE + byte * size).padding == size
    for hidden in (event(1, 4, bytes(4)), b"\1", b"\xff\0" if byte == b"\0" else b"\0\xff"):
        with pytest.raises(Malformed):
            tcg.read(ONE + byte * 64 + hidden)


@pytest.mark.parametrize(
    ("name", "step"), [("dstack-ccel.bin", 1), ("google-cos113.ccel_data.bin", 17)]
)
def test_truncations_are_refused_or_lose_whole_events(vectors: Path, name: str, step: int) -> None:
    data = vector(vectors, name)
    log = tcg.read(data)
    ends = {e.offset for e in log.events}
    used = len(data) - log.padding
    for size in {*range(0, used, step), *ends}:
        if size in ends:
            assert tcg.read(data[:size]).events == log.events[: len(tcg.read(data[:size]).events)]
        else:
            with pytest.raises(Malformed):
                tcg.read(data[:size])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        header(signature=b"Spec ID Event02\0") + event(1, 4, b""),
        header(kind=4),
        header(index=2),
        header(digest=b"\1" + bytes(19)),
        header(version=b"\0\1\0\2"),
        header(version=b"\1\2\0\2"),
        header(version=b"\0\2\0\3"),
        header(()),
        header(((0x0C, 47),)),
        header(((0x0C, 48), (0x0C, 48))),
        header(((0x77, 0),)),
        header(((0x77, 65),)),
        header(tuple((number, 16) for number in range(0x80, 0x89))),
        header(behind=b"\0"),
        header()[:28] + u32(0xFFFFFFFF) + header()[32:],
        header()[:-1] + b"\xff",
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_bad_first_events(data: bytes) -> None:
    for behind in (b"", event(1, 4, b"")):
        with pytest.raises(Malformed):
            tcg.read(data + behind)


@pytest.mark.parametrize(
    "data",
    [
        u32(1) + u32(4) + u32(0) + u32(0),  # no digest
        u32(1) + u32(4) + u32(2) + 2 * (u16(12) + bytes(48)) + u32(0),  # the same digest twice
        u32(1) + u32(4) + u32(1) + u16(11) + bytes(32) + u32(0),  # an algorithm not named
        u32(1) + u32(4) + u32(0xFFFFFFFF) + u16(12) + bytes(48) + u32(0),
        u32(1) + u32(4) + u32(1) + u16(12) + bytes(48) + u32(0xFFFFFFFF),
        u32(1)
        + u32(4)
        + u32(1)
        + u16(12)
        + bytes(48)
        + u32(1024 * 1024 + 1)
        + bytes(1024 * 1024 + 1),
        u32(1) + u32(4) + u32(1) + u16(12) + bytes(48) + u32(5) + b"four",
        u32(0) + u32(0) + u32(1) + u16(12) + bytes(48) + u32(0),  # padding that is none
        u32(0xFFFFFFFF) + u32(4) + u32(1) + u16(12) + bytes(48) + u32(0),
    ],
    ids=range(9),
)
def test_bad_events(data: bytes) -> None:
    with pytest.raises(Malformed):
        tcg.read(ONE + data)


def test_two_algorithms_named_and_one_given_twice() -> None:
    twice = u32(1) + u32(4) + u32(2) + 2 * (u16(12) + bytes(48)) + u32(0)
    with pytest.raises(Malformed, match="comes twice"):
        tcg.read(header(((12, 48), (4, 20))) + twice)


def test_bounds() -> None:
    with pytest.raises(Malformed, match="larger than"):
        tcg.read(ONE + bytes(tcg.MAX_LOG))
    with pytest.raises(Malformed, match="more than"):
        tcg.read(header() + 16385 * event(1, 4, bytes(4)))


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": b"CCEK"},
        {"length": u32(55)},
        {"length": u32(0xFFFFFFFF)},
        {"revision": b"\2"},
        {"checksum": b"\1"},
        {"oem": b"\xff" * 6},
        {"reserved": b"\1\0"},
        {"address": u64(1)[:7]},
        {"address": u64(1) + b"\0"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_bad_ccel_tables(changed: dict[str, bytes]) -> None:
    assert ccel.read(ccel_table()).log_area_size == 65536
    with pytest.raises(Malformed):
        ccel.read(ccel_table(**changed))


def test_ccel_table_truncated_or_with_any_bit_flipped(vectors: Path) -> None:
    good = vector(vectors, "google-cos113.ccel_table.bin")
    for size in range(len(good)):
        with pytest.raises(Malformed):
            ccel.read(good[:size])
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Malformed):
            ccel.read(bytes(bad))


def test_names_of_types() -> None:
    assert tcg.type_name(0x8000_0001) == "EV_EFI_VARIABLE_DRIVER_CONFIG"
    assert tcg.type_name(0x0800_0001) == "0x08000001"


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for text in (data, ONE + data):
        try:
            log = tcg.read(text)
        except Malformed:
            continue
        assert log.padding + 65 <= len(text)


@given(
    st.lists(
        st.tuples(st.integers(1, 2**32 - 2), st.integers(0, 2**32 - 1), st.binary(max_size=60))
    ),
    st.integers(0, 20),
)
def test_what_is_written_is_read(made: list[tuple[int, int, bytes]], padding: int) -> None:
    data = header() + b"".join(event(*one) for one in made) + b"\xff" * padding
    log = tcg.read(data)
    assert [(e.index, e.type, e.data) for e in log.events] == made
    assert log.padding == padding


def old(index: int, kind: int, data: bytes, *, digest: bytes = bytes(20)) -> bytes:
    return u32(index) + u32(kind) + digest + u32(len(data)) + data


def test_the_old_form_knows_sha1_alone() -> None:
    log = tcg.read_any(old(0, 8, b"version") + old(0xFFFFFFFF, 3, b"Windows'") + bytes(100))
    assert (dict(log.spec_id.algorithms), log.padding) == ({tcg.SHA1: 20}, 100)
    assert [(e.index, e.type, e.data) for e in log.events] == [
        (0, 8, b"version"),
        (0xFFFFFFFF, 3, b"Windows'"),
    ]
    assert tcg.read_any(header()).spec_id.version == (2, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(64),
        old(0, 8, b"four")[:-1],
        old(0, 8, b"") + b"\1",
        old(0xFFFFFFFF, 4, b""),
        u32(0) + u32(8) + bytes(20) + u32(0xFFFFFFFF),
        bytes(tcg.MAX_LOG + 1),
        old(1, 4, b"") * (16 * 1024 + 1),
    ],
    ids=range(8),
)
def test_bad_logs_of_the_old_form(data: bytes) -> None:
    with pytest.raises(Malformed):
        tcg.read_old(data)


def test_an_old_log_that_is_too_large() -> None:
    with pytest.raises(Malformed, match="is larger than"):
        tcg.read_old(bytes(tcg.MAX_LOG + 1))
