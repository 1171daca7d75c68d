"""RIM documents: XML with signatures, which only a well-kept library should read, and only after us."""

from collections.abc import Iterable

from fuzz.simulated import device_cases
from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.model.collateral import Kind
from troth.platforms.nvidia import rim


def _run(data: bytes) -> None:
    found = rim.read(data)
    must(bool(found.signers), "a document that nobody signed")
    must(all(index <= rim.MAX_INDEX for index in found.golden), "an index too high")
    must(b"<!" not in data, "entities, comments or CDATA")


def _seeds() -> Iterable[bytes]:
    items = device_cases()[0].collateral.items
    yield from (item.data for item in items if item.kind is Kind.NVIDIA_RIM)
    yield from vectors("nvidia/rim-*.xml", "nvidia/rim-*.swidtag")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=32 * 1024,
    words=(
        b"<!DOCTYPE",
        b"<!--",
        b"<?x ?>",
        b"&lt;",
        b' URI="#x"',
        b"<ds:Object/>",
        b'active="True"',
    ),
)
