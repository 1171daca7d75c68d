"""Files of measurements: what is read goes into a policy or is refused, and never expects nothing."""

import json
from collections.abc import Iterable

from fuzz.target import Target, must
from troth.cli._image import read_measurements
from troth.errors import Malformed, Misuse
from troth.image.companions import SCHEMA
from troth.policy import Policy


def _run(data: bytes) -> None:
    found, _ = read_measurements(data, field="measurements")
    registers = Policy.for_image(found).registers
    must(bool(registers), "a file of measurements expects something")
    for platform, values in found.items():
        for name, several in values.items():
            must(registers[platform][name] == set(several), "the policy allows what the file says")


def _seeds() -> Iterable[bytes]:
    one, other = "ab" * 48, "cd" * 48
    for said in (
        {"nitro": {"pcr0": one, "pcr1": other}, "image": {"name": "x", "size": 1}},
        {"snp": {"measurement": one}, "tdx": {"mrtd": [one, other]}, "assumed": {"snp": {}}},
    ):
        yield json.dumps({"schema": SCHEMA} | said).encode()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Malformed, Misuse),
    longest=4096,
    words=(b"{", b"}", b"[", b"]", b'"tdx":', b'"mrtd":', b'"sgx":', b"null", b"0" * 96),
)
