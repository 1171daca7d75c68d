"""The certificate table: written by the host, read strictly, believed by nobody."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.platforms.snp.simulate import extended
from troth.platforms.snp.table import GUIDS, MAX_ENTRIES, MAX_TABLE, read

CERTIFICATES = {"VCEK": b"vcek!", "ASK": b"ask", "ARK": b"ark.", "CRL": b"c"}
FOREIGN = UUID(int=0x1234).hex


def table(entries: dict[str, bytes], **how: bool) -> bytes:
    return extended(b"", entries, **how)


def raw(*entries: tuple[bytes, int, int], data: bytes = b"", end: bytes = bytes(24)) -> bytes:
    rows = (
        guid + start.to_bytes(4, "little") + size.to_bytes(4, "little")
        for guid, start, size in entries
    )
    return b"".join(rows) + end + data


@pytest.mark.parametrize("pages", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_both_orders_of_guids_are_read(*, mixed: bool, pages: bool) -> None:
    found = read(table(CERTIFICATES, mixed=mixed, pages=pages), base=1184)
    assert dict(found.entries) == CERTIFICATES
    assert found.unknown == ()


def test_entries_of_the_hosts_own_are_named_and_left_alone() -> None:
    found = read(table({**CERTIFICATES, FOREIGN: b"host"}), base=0)
    assert dict(found.entries) == CERTIFICATES
    assert found.unknown == (FOREIGN,)


def test_one_certificate_in_both_orders_stands_twice() -> None:
    guid = GUIDS["VCEK"]
    data = raw((guid, 72, 1), (UUID(bytes=guid).bytes_le, 73, 1), data=b"ab")
    with pytest.raises(Malformed, match="twice"):
        read(data, base=0)
    with pytest.raises(Malformed, match="twice"):
        read(raw((guid, 72, 1), (guid, 73, 1), data=b"ab"), base=0)


@pytest.mark.parametrize(
    ("start", "size"),
    [(0, 4), (47, 4), (48, 0), (48, 5), (49, 4), (52, 1), (2**32 - 1, 2**32 - 1), (48, 2**32 - 1)],
)
def test_lengths_and_offsets_that_point_elsewhere(start: int, size: int) -> None:
    with pytest.raises(Malformed):
        read(raw((GUIDS["ASK"], start, size), data=b"\x30abc"), base=0)


def test_entries_do_not_overlap_and_leave_no_gap() -> None:
    ask, ark = GUIDS["ASK"], GUIDS["ARK"]
    assert read(raw((ark, 74, 2), (ask, 72, 2), data=b"abcd"), base=0).entries["ARK"] == b"cd"
    with pytest.raises(Malformed, match="another"):
        read(raw((ask, 72, 3), (ark, 74, 2), data=b"abcd"), base=0)
    with pytest.raises(Malformed, match="no entry"):
        read(raw((ask, 72, 1), (ark, 74, 2), data=b"abcd"), base=0)
    assert read(raw((ask, 72, 1), (ark, 74, 2), data=b"a\0cd"), base=0).entries["ASK"] == b"a"


def test_an_empty_entry_is_refused() -> None:
    with pytest.raises(Malformed, match="empty"):
        read(raw((GUIDS["ASK"], 72, 0), (GUIDS["ARK"], 72, 4), data=b"abcd"), base=0)


def test_an_empty_table_and_one_without_end() -> None:
    for data in (b"", bytes(24), bytes(4096), raw((GUIDS["ASK"], 24, 1), end=b"")):
        with pytest.raises(Malformed):
            read(data, base=0)


def test_a_table_has_limits() -> None:
    many = {UUID(int=number + 1).hex: b"x" for number in range(MAX_ENTRIES)}
    assert len(read(table(many), base=0).unknown) == MAX_ENTRIES
    with pytest.raises(Malformed):
        read(table({**many, FOREIGN[::-1]: b"x"}), base=0)
    largest = table({"ASK": bytes(MAX_TABLE - 48)})
    assert len(largest) == MAX_TABLE
    assert len(read(largest, base=0).entries["ASK"]) == MAX_TABLE - 48
    with pytest.raises(Malformed, match="larger"):
        read(table({"ASK": bytes(MAX_TABLE - 47)}), base=0)


@pytest.mark.parametrize("tail", [b"\0", b"\x01", bytes(4095)])
def test_only_zeros_up_to_a_page_follow(tail: bytes) -> None:
    with pytest.raises(Malformed):
        read(table(CERTIFICATES) + tail, base=0)
    with pytest.raises(Malformed):
        read(table(CERTIFICATES, pages=True)[:-1] + b"\x01", base=0)


@given(size=st.integers(0, 400))
def test_every_truncation_is_malformed(size: int) -> None:
    whole = table(CERTIFICATES)
    if size < len(whole):
        with pytest.raises(Malformed):
            read(whole[:size], base=0)


@given(at=st.integers(0, 132), value=st.integers(0, 255))
def test_any_change_is_read_or_malformed(at: int, value: int) -> None:
    whole = bytearray(table(CERTIFICATES))
    whole[at] = value
    try:
        found = read(bytes(whole), base=0)
    except Malformed:
        return
    assert sum(map(len, found.entries.values())) <= len(whole)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_table_or_malformed(data: bytes) -> None:
    for candidate in (data, GUIDS["VCEK"] + data, raw((GUIDS["ASK"], 48, len(data)), data=data)):
        try:
            found = read(candidate, base=0)
        except Malformed:
            continue
        assert found.entries or found.unknown
