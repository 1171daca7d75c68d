"""Firmware images: their tables, and what SNP and TDX would measure of them."""

from collections.abc import Iterable

from tests.wire.firmware import image

from fuzz.target import Target, attempt
from troth.platforms.tdx.measure import mrtd
from troth.wire import ovmf

_MEASURED = 64  # pages at most: more would only be slow


def _run(data: bytes) -> None:
    found = ovmf.read(data)
    attempt(lambda _: found.reset_address(), data)
    attempt(lambda _: found.hashes_address(), data)
    attempt(lambda _: found.sev_sections(), data)
    sections = found.tdx_sections()
    if sum(section.size for section in sections) <= _MEASURED * ovmf.PAGE:
        mrtd(data)


def _seeds() -> Iterable[bytes]:
    yield image(pages=3)
    yield image(pages=3, intel=())
    yield image(pages=3, sev=None, hashes=None, reset=None)
    yield image()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=48 * 1024,
    words=(
        ovmf.FOOTER.bytes_le,
        ovmf.SEV_METADATA.bytes_le,
        ovmf.TDX_METADATA.bytes_le,
        b"ASEV",
        b"TDVF",
    ),
)
