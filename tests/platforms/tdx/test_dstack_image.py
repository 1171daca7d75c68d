"""What a dstack image will measure to: as a real quote of such a guest shows it, and bad inputs."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.platforms.tdx import dstack_image, format  # noqa: A004
from troth.platforms.tdx.dstack_image import read
from troth.platforms.tdx.measure import Order
from troth.wire import cbor

KERNEL, LINE, INITRD, PAGEWISE, SECTIONWISE = (bytes([n]) * 48 for n in range(1, 6))


def document(**changes: Any) -> dict[str, Any]:
    image = {"cmdline_sha384": LINE, "kernel_authenticode": KERNEL, "initrd_sha384": INITRD}
    mrtd = {"single_pass": PAGEWISE, "two_pass": SECTIONWISE}
    tdvf = {"ovmf": "pre202505", "mrtd": mrtd, "td_hob": b"\x80"}
    return {"version": 3, "image": image, "tdvf": tdvf} | changes


def made(**changes: Any) -> bytes:
    return cbor.encode_in_order(document(**changes))


def test_a_real_quote_shows_what_is_predicted(vectors: Path) -> None:
    answer = json.loads((vectors / "tdx/eventlog/dstack-tdx-lite-getquote.json").read_bytes())
    config = json.loads(answer["vm_config"])
    image = read(base64.b64decode(config["tdx_measurement"]["measurement"]))
    quote = (vectors / "tdx/dstack-tdx-lite-v4.quote.bin").read_bytes()
    assert not answer["quote"].removeprefix(quote.hex()).strip("0")
    body = quote[48:632]
    mrtd, rtmr1, rtmr2 = (body[at : at + 48] for at in (136, 376, 424))
    assert format.parse(quote)
    assert (image.mrtd[Order.BY_SECTION], image.rtmr1, image.rtmr2) == (mrtd, rtmr1, rtmr2)
    assert image.mrtd[Order.BY_PAGE] != mrtd


def test_parts_are_not_confused() -> None:
    image = read(made())
    assert (image.kernel, image.command_line, image.initrd) == (KERNEL, LINE, INITRD)
    assert image.mrtd == {Order.BY_PAGE: PAGEWISE, Order.BY_SECTION: SECTIONWISE}
    first = hashlib.sha384(bytes(48) + LINE).digest()
    assert image.rtmr2 == hashlib.sha384(first + INITRD).digest()
    register = hashlib.sha384(bytes(48) + KERNEL).digest()
    for words in (
        b"Calling EFI Application from Boot Option",
        b"\0\0\0\0",
        b"Exit Boot Services Invocation",
        b"Exit Boot Services Returned with Success",
    ):
        register = hashlib.sha384(register + hashlib.sha384(words).digest()).digest()
    assert image.rtmr1 == register
    assert dstack_image.is_image(made())
    assert not dstack_image.is_image(b"") and not dstack_image.is_image(b"\xa3")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 2}, "version 2 is not 3"),
        ({"version": 4}, "version 4 is not 3"),
        ({"version": True}, "version True is not 3"),
        ({"image": {}}, "image: is not a map of"),
        ({"image": document()["image"] | {"rootfs": b""}}, "image: is not a map of"),
        ({"image": document()["image"] | {"initrd_sha384": INITRD[:-1]}}, "not 48 bytes"),
        ({"image": document()["image"] | {"cmdline_sha384": LINE.hex()}}, "not 48 bytes"),
        ({"image": document()["image"] | {"kernel_authenticode": None}}, "not 48 bytes"),
        ({"tdvf": document()["tdvf"] | {"ovmf": "stable202505"}}, "only one checked"),
        ({"tdvf": document()["tdvf"] | {"mrtd": PAGEWISE}}, "mrtd: is not a map of"),
        ({"tdvf": document()["tdvf"] | {"mrtd": {"two_pass": KERNEL}}}, "mrtd: is not a map of"),
        ({"more": 1}, "is not a map of version, image, tdvf"),
    ],
)
def test_other_forms_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(made(**changes))


@given(st.data())
def test_cut_flipped_and_longer_files(data: st.DataObject) -> None:
    whole = made()
    cut = data.draw(st.integers(0, len(whole) - 1))
    for wrong in (whole[:cut], whole + whole[: cut + 1], whole + bytes(8192)):
        with pytest.raises(Malformed):
            read(wrong)
    flipped = bytearray(whole)
    flipped[cut] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert read(bytes(flipped)) != read(whole) or b"td_hob" in whole[max(cut - 8, 0) : cut]
    except Malformed:
        pass


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\xf6", b"\x80", b"\xff" * 64, bytes(5000)])
def test_what_is_no_such_file(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)
