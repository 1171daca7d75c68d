"""Reports of NVIDIA's devices, alone, with certificates, as text, and in the JSON of NVIDIA's tools."""

from collections.abc import Iterable

from fuzz.simulated import NONCE, devices
from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.platforms.nvidia import PLATFORM, carrier, topology
from troth.platforms.nvidia.collateral import rim_ids
from troth.platforms.nvidia.simulate import nras_json, sdk_json


def _run(data: bytes) -> None:
    several = carrier.composite(data)
    if several is not None:
        parts = {part.name: PLATFORM.parse(part.evidence) for part in several.parts}
        topology.check(parts)
        return
    found = PLATFORM.unwrap(data)
    bare = data if found is None else found[0]
    document = PLATFORM.parse(bare)
    must(document.report + document.pem == bare, "evidence is not the bytes it was read from")
    must(document.signed + document.signature == document.report, "a report without its signature")
    PLATFORM.claims(document, None)
    list(PLATFORM.fields(bare))
    must(all(name.isascii() for name in rim_ids(document)), "a name that is no address")
    topology.check({"device": document})


def _seeds() -> Iterable[bytes]:
    nonce = NONCE[:32]
    for device in devices():
        yield device.report(nonce)
        yield device.evidence(nonce)
    yield device.report(nonce).hex().encode() + device.pem
    yield sdk_json(devices()[2:], nonce)
    yield sdk_json(devices()[2:] * 2, nonce)
    yield nras_json(devices()[2:], nonce)
    yield from vectors("nvidia/*.report.hex")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=24 * 1024,
    words=(b"-----BEGIN CERTIFICATE-----", b'"evidence":"', b"\x24\0\2\0", b"\x16\0\x90\0"),
)
