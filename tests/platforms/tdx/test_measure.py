"""MRTD: as quoted by real hardware, and as a second computation from the specification gives it.

No library in Python computes MRTD, so there is no oracle to install. Two images of Ubuntu's packages
have an MRTD that real quotes show; where such an image is at hand, ours must be that value.
"""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import firmware
from tests.wire.firmware import PAGE, image, tdx

from troth.errors import Malformed
from troth.platforms.tdx import measure
from troth.platforms.tdx.measure import Order, mrtd

# SHA-256 of an image, and the MRTD of guests that were started with it on page-by-page hosts.
QUOTED = {
    # Ubuntu 25.04, ovmf 2025.02-3ubuntu2, OVMF.fd; in quotes of Tinfoil's machines.
    "9e807cb2cd4313406a3aa4becc0836671a5c64ca7bdc08a45e15260184b446bf": (
        "7357a10d2e2724dffe68813e3cc4cfcde6814d749f2fb62e3953e54f6e0b50a2"
        "19786afe2cd478f684b52c61837e1114"
    ),
    # Ubuntu 25.10, ovmf-inteltdx 2025.02-8ubuntu3, OVMF.inteltdx.fd; in go-tdx-guest's quote v5.
    "ae577ac531f6d7ecf7aee3203bfbd3d40db5eb8f79ce3e1ba69894a4711bc118": (
        "7348651a34b2d2d3462822e3a750ec6110125f36757c78480bbfc69cc0d21fb0"
        "01a1ced3ee19747dda8f750c3bc8f876"
    ),
}


def _second(data: bytes, order: Order) -> bytes:
    """From the TDX Module specification and the TDVF design guide alone; shares no code with ours."""
    metadata = data.rindex(b"TDVF")
    (count,) = struct.unpack_from("<I", data, metadata + 12)
    log: list[bytes] = []
    for index in range(count):
        offset, raw, address, size, _, attributes = struct.unpack_from(
            "<IIQQII", data, metadata + 16 + 32 * index
        )
        content = data[offset : offset + raw] if raw else bytes(size)
        adds = [
            struct.pack("<12s4xQ104x", b"MEM.PAGE.ADD", address + at) for at in range(0, size, 4096)
        ]
        extends = [
            b"".join(
                struct.pack("<9s7xQ104x", b"MR.EXTEND", address + at) + content[at : at + 256]
                for at in range(page, page + 4096, 256)
            )
            if attributes & 1
            else b""
            for page in range(0, size, 4096)
        ]
        if order is Order.BY_SECTION:
            log += adds + extends
        else:
            log += [part for pair in zip(adds, extends, strict=True) for part in pair]
    return hashlib.sha384(b"".join(log)).digest()


@pytest.mark.firmware
def test_what_real_quotes_show() -> None:
    images = {hashlib.sha256(read.data).hexdigest(): read.data for _, read in firmware.installed()}
    at_hand = QUOTED.keys() & images.keys()
    if not at_hand:
        pytest.skip("no firmware image here is one whose MRTD was seen in a real quote")
    assert {name: mrtd(images[name]).hex() for name in at_hand} == {
        name: QUOTED[name] for name in at_hand
    }


@pytest.mark.parametrize("order", Order)
def test_a_second_computation_from_the_specification(order: Order) -> None:
    for data in (image(), image(sev=None, seed=5), image(pages=40, seed=6)):
        assert mrtd(data, order=order) == _second(data, order)


@given(st.permutations(tdx()), st.sets(st.sampled_from([0x810000, 0x800000])), st.integers(0, 99))
def test_any_order_of_sections(
    sections: list[tuple[int, ...]], measured: set[int], seed: int
) -> None:
    changed = tuple((*item[:5], 1) if item[2] in measured else item for item in sections)
    data = image(intel=changed, seed=seed)
    for order in Order:
        assert mrtd(data, order=order) == _second(data, order)


@pytest.mark.firmware
@pytest.mark.parametrize("order", Order)
def test_a_second_computation_over_real_firmware(order: Order) -> None:
    compared = 0
    for path, read in firmware.installed():
        try:
            read.tdx_sections()
        except Malformed:
            continue
        assert mrtd(read.data, order=order) == _second(read.data, order), path
        compared += 1
    assert compared


def test_linux_adds_page_by_page() -> None:
    data = image()
    assert mrtd(data) == mrtd(data, order=Order.BY_PAGE) != mrtd(data, order=Order.BY_SECTION)


def test_as_a_policy_takes_it() -> None:
    value = mrtd(image())
    assert len(value) == 48
    assert measure.expected(value) == {"tdx": {"mrtd": value.hex()}}


def test_code_and_places_count_and_variables_do_not() -> None:
    data = image(sev=None)
    changed = bytearray(data)
    changed[0] ^= 1  # variables
    assert mrtd(bytes(changed)) == mrtd(data)
    changed[2 * PAGE] ^= 1  # code
    sections = tdx()
    moved = (*sections[:2], (0, 0, 0x820000, 0x3000, 3, 0), *sections[3:])
    swapped = (*sections[:3], sections[4], sections[3])
    others = [bytes(changed), image(sev=None, intel=moved), image(sev=None, intel=swapped)]
    assert len({mrtd(data), *(mrtd(other) for other in others)}) == 4


@pytest.mark.parametrize("data", [b"", bytes(PAGE), image(intel=()), image()[2 * PAGE :]])
def test_firmware_without_one_mrtd(data: bytes) -> None:
    with pytest.raises(Malformed):
        mrtd(data)


def test_a_flipped_bit_of_the_code_changes_it_or_is_refused() -> None:
    data = bytearray(image(pages=4, intel=tdx(4), sev=None))
    before = mrtd(bytes(data))
    for bit in [
        *range(8 * 2 * PAGE, 8 * 2 * PAGE + 64),
        *range(8 * (len(data) - 1300), 8 * len(data), 3),
    ]:
        data[bit // 8] ^= 1 << bit % 8
        try:
            assert mrtd(bytes(data)) != before
        except Malformed:
            pass
        data[bit // 8] ^= 1 << bit % 8


def test_a_large_image_is_quick() -> None:
    assert len(mrtd(image(pages=1024))) == 48
