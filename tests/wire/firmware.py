"""Small firmware images of the true structure, and the real ones that this machine has."""

import functools
import os
import random
import struct
from pathlib import Path
from uuid import UUID

from troth.errors import Malformed
from troth.wire import ovmf
from troth.wire.ovmf import Ovmf

PAGE = 4096
PAGES = 12
RESET = 0x0080_B004
HASHES = (0x0081_0C00, 0x400)

# As edk2's AmdSev and OvmfX64 builds list them: address, size, kind.
SEV = (
    (0x80_0000, 0x9000, 1),
    (0x80_A000, 0x3000, 1),
    (0x80_D000, 0x1000, 2),
    (0x80_E000, 0x1000, 3),
    (0x80_F000, 0x1000, 4),
    (0x81_1000, 0x2000, 1),
    (0x81_0000, 0x1000, 0x10),
)


def tdx(pages: int = PAGES) -> tuple[tuple[int, int, int, int, int, int], ...]:
    """Offset, raw size, address, size, kind, attributes: variables are the image's first two pages."""
    start, code = (1 << 32) - pages * PAGE, (pages - 2) * PAGE
    return (
        (2 * PAGE, code, start + 2 * PAGE, code, 0, 1),
        (0, 2 * PAGE, start, 2 * PAGE, 1, 0),
        (0, 0, 0x81_0000, 0x3000, 3, 0),
        (0, 0, 0x80_9000, 0x2000, 2, 0),
        (0, 0, 0x80_0000, 0x6000, 3, 0),
    )


def block(name: UUID, data: bytes) -> bytes:
    return data + struct.pack("<H", len(data) + 18) + name.bytes_le


def image(
    *,
    pages: int = PAGES,
    sev: tuple[tuple[int, ...], ...] | None = SEV,
    intel: tuple[tuple[int, ...], ...] | None = None,
    hashes: tuple[int, int] | None = HASHES,
    reset: int | None = RESET,
    extra: bytes = b"",
    seed: int = 1,
) -> bytes:
    """An image whose code is noise. `extra` is one more block, the first to be read."""
    intel = tdx(pages) if intel is None else intel
    amd = b"".join(struct.pack("<III", *section) for section in sev or ())
    amd = struct.pack("<4sIII", b"ASEV", 16 + len(amd), 1, len(amd) // 12) + amd
    td = b"".join(struct.pack("<IIQQII", *section) for section in intel)
    td = struct.pack("<4sIII", b"TDVF", 16 + len(td), 1, len(td) // 32) + td
    # Both descriptors end 1 KiB before the end, so that their distance to it is known.
    blocks = block(ovmf.TDX_METADATA, struct.pack("<I", 1024 + len(td))) if intel else b""
    if sev is not None:
        where = struct.pack("<I", 1024 + len(td) + len(amd))
        blocks += block(ovmf.SEV_METADATA, where)
    if hashes is not None:
        blocks += block(ovmf.SEV_HASHES, struct.pack("<II", *hashes))
    if reset is not None:
        blocks += block(ovmf.SEV_ES_RESET, struct.pack("<I", reset))
    blocks += extra
    table = blocks + struct.pack("<H", len(blocks) + 18) + ovmf.FOOTER.bytes_le
    noise = random.Random(seed).randbytes
    tail = noise(1024 - 32 - len(table)) + table + noise(32)
    return noise(pages * PAGE - len(tail) - len(td) - len(amd)) + amd + td + tail


@functools.cache
def installed() -> tuple[tuple[Path, Ovmf], ...]:
    """The real images on this machine: in $TROTH_FIRMWARE, or where Debian and Ubuntu keep them.

    Tests of them have the marker `firmware`. Debian's ovmf has an image for SEV-SNP and TDX; Ubuntu's
    ovmf-amdsev and ovmf-inteltdx have more.
    """
    named = os.environ.get("TROTH_FIRMWARE")
    folders = [named] if named else ["/usr/share/ovmf", "/usr/share/OVMF", "/usr/share/qemu"]
    found: dict[Path, Ovmf] = {}
    for path in (file for folder in folders for file in sorted(Path(folder).rglob("*.fd"))):
        try:
            found[path.resolve()] = ovmf.read(path.read_bytes())
        except Malformed:
            continue  # variables without code
    return tuple(found.items())


def has(read: Ovmf, sections: str) -> bool:
    """Whether an image's `sev_sections` or `tdx_sections` can be read."""
    try:
        return bool(getattr(read, sections)())
    except Malformed:
        return False
