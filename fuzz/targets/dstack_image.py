"""What dstack images say of themselves: read in one way, or refused."""

from collections.abc import Iterable

from tests.platforms.tdx.test_dstack_image import made

from fuzz.target import Target, must
from troth.platforms.tdx import dstack_image


def _run(data: bytes) -> None:
    found = dstack_image.read(data)
    for value in (found.rtmr1, found.rtmr2, *found.mrtd.values()):
        must(len(value) == 48, "a register has 48 bytes")


def _seeds() -> Iterable[bytes]:
    yield made()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=4096,
    words=(b"\xa3", b"version", b"image", b"tdvf", b"mrtd", b"\x58\x30", b"pre202505"),
)
