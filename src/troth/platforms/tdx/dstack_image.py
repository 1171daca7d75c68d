"""What will a dstack image measure to? MRTD, RTMR1 and RTMR2, from the `measurement.tdx.cbor` in it.

An image of dstack 0.6 brings digests of its parts: what the firmware will measure of kernel, command
line and RAM disk, and MRTD in both orders in which loaders work. What the firmware puts around them is
the same in each boot. So RTMR1 and RTMR2 follow, with no event log; they were checked against a real
quote of such a guest, as was MRTD.

RTMR0 does not follow: it holds the machine's memory map and the ACPI tables that QEMU makes for it,
which depend on processors, memory, devices and QEMU's version.

The kernel's digest is of the kernel as QEMU hands it over, and QEMU writes into its header where the RAM
disk lies, below the memory's end or 2 GiB. From 2816 MiB on QEMU ends low memory at 2 GiB. So guests with
2 GiB, and with 2816 MiB or more, have this RTMR1; others have another. Seen here at 2 GiB.

Does not verify: that the digests are those of the image's files. Whoever names this file says so.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed
from troth.platforms.tdx.measure import Order
from troth.wire import cbor

VERSION: Final = 3
FIRMWARE: Final = "pre202505"
"""The firmware's generation of which a real quote was at hand."""

_START: Final = b"\xa3\x67version"  # a map of three, and its first key
_SIZE: Final = 48
_BEFORE_BOOT: Final = (b"Calling EFI Application from Boot Option", bytes(4))
_AFTER_BOOT: Final = (b"Exit Boot Services Invocation", b"Exit Boot Services Returned with Success")
_ORDERS: Final = {"single_pass": Order.BY_PAGE, "two_pass": Order.BY_SECTION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Digests of 48 bytes.

    Attributes:
        mrtd: of the firmware, by the loader's order.
        kernel: Authenticode digest of the kernel, as QEMU hands it over.
        command_line: as the firmware hands it over, in UTF-16.
        initrd: of the RAM disk.
    """

    mrtd: Mapping[Order, bytes]
    kernel: bytes
    command_line: bytes
    initrd: bytes

    @property
    def rtmr1(self) -> bytes:
        """RTMR1 once the guest runs."""
        before, after = (
            tuple(hashlib.sha384(words).digest() for words in group)
            for group in (_BEFORE_BOOT, _AFTER_BOOT)
        )
        return _extended(self.kernel, *before, *after)

    @property
    def rtmr2(self) -> bytes:
        """RTMR2 once the guest runs."""
        return _extended(self.command_line, self.initrd)


def is_image(data: bytes | memoryview) -> bool:
    """Whether this should be read as such a file."""
    return bytes(data[: len(_START)]) == _START


def read(data: bytes) -> Image:
    """Reads `measurement.tdx.cbor`.

    Raises:
        Malformed: another version, form or firmware than the one that was checked.
    """
    field = "measurement.tdx.cbor"
    document = cbor.decode(data, field=field)
    version, image, tdvf = _parts(document, ("version", "image", "tdvf"), field)
    if version != VERSION:
        raise Malformed(f"version {version!r} is not {VERSION}", field=field)
    parts = _parts(
        image, ("kernel_authenticode", "cmdline_sha384", "initrd_sha384"), f"{field} image"
    )
    ovmf, orders, _ = _parts(tdvf, ("ovmf", "mrtd", "td_hob"), f"{field} tdvf")
    if ovmf != FIRMWARE:
        raise Malformed(
            f"firmware {ovmf!r} is not {FIRMWARE}, the only one checked against a real quote",
            field=f"{field} tdvf",
        )
    values = _parts(orders, tuple(_ORDERS), f"{field} mrtd")
    kernel, command_line, initrd, *mrtds = (_digest(item, field) for item in (*parts, *values))
    return Image(
        mrtd=dict(zip(_ORDERS.values(), mrtds, strict=True)),
        kernel=kernel,
        command_line=command_line,
        initrd=initrd,
    )


def _parts(value: Any, names: tuple[str, ...], field: str) -> tuple[Any, ...]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise Malformed(f"is not a map of {', '.join(names)}", field=field)
    return tuple(value[name] for name in names)


def _digest(value: Any, field: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != _SIZE:
        raise Malformed(f"has a digest that is not {_SIZE} bytes", field=field)
    return value


def _extended(*digests: bytes) -> bytes:
    register = bytes(_SIZE)
    for digest in digests:
        register = hashlib.sha384(register + digest).digest()
    return register
