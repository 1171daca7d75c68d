"""What will a TDX guest's firmware measure to? MRTD, from the image alone.

The TDX module hashes what the loader does, as one SHA-384 (TDX Module Base Specification, "MRTD:
Build-Time Measurement Register"): TDH.MEM.PAGE.ADD a record of 128 bytes with the page's address,
TDH.MR.EXTEND the like and then 256 bytes of content. The firmware's TDVF metadata says which pages are
added and which of them are extended, so the value follows from the image; but not the order, which is
the loader's. Linux since 6.16 adds a page and extends it before the next; the kernels that Canonical
and others shipped before (and dstack's first images) add all pages of a section and then extend them.
Both values stand for the same content.

MRTD covers the firmware's code and nothing that it loads: RTMR0 to RTMR2 are needed beside it, so a
policy from MRTD alone stays undecided. Google's MRTD may cover the handoff block, which depends on the
machine's memory, and is not predicted.

Does not verify: anything. It is a prediction; a quote that shows this value must be genuine as well.
"""

import hashlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from troth.wire import ovmf
from troth.wire.ovmf import PAGE, TdxSection

CHUNK: Final = 256


class Order(StrEnum):
    """In which order the loader adds and extends pages."""

    BY_PAGE = "page"
    BY_SECTION = "section"


def mrtd(firmware: bytes, *, order: Order = Order.BY_PAGE) -> bytes:
    """MRTD of a guest started with this firmware, 48 bytes.

    Args:
        firmware: a TDVF image, such as OVMF.fd.
        order: of the loader; Linux's own since 6.16 unless another is named.

    Raises:
        Malformed: the image has no TDVF metadata, or they do not lead to one value.
    """
    running = hashlib.sha384()
    for section in ovmf.read(firmware).tdx_sections():
        if order is Order.BY_SECTION:
            for offset in range(0, section.size, PAGE):
                running.update(_added(section, offset))
            for offset in range(0, section.size, PAGE):
                running.update(b"".join(_extended(section, offset)))
        else:
            for offset in range(0, section.size, PAGE):
                running.update(_added(section, offset) + b"".join(_extended(section, offset)))
    return running.digest()


def expected(value: bytes) -> Mapping[str, Mapping[str, str]]:
    """An MRTD as `Policy.for_image` takes it: platform to register to lower-case hex."""
    return {"tdx": {"mrtd": value.hex()}}


def _record(operation: bytes, address: int) -> bytes:
    return operation.ljust(16, b"\0") + address.to_bytes(8, "little") + bytes(104)


def _added(section: TdxSection, offset: int) -> bytes:
    return _record(b"MEM.PAGE.ADD", section.address + offset)


def _extended(section: TdxSection, offset: int) -> Iterator[bytes | memoryview]:
    """Records and content of one page; nothing if the section's content is not measured."""
    if not section.measured:
        return
    for start in range(offset, offset + PAGE, CHUNK):
        yield _record(b"MR.EXTEND", section.address + start)
        # Measured memory that is not from the image is zero.
        yield section.data[start : start + CHUNK] or bytes(CHUNK)
