"""The certificate table of an extended report, without the report."""

from collections.abc import Iterable

from fuzz.simulated import report_cases
from fuzz.target import Target, must
from troth.platforms.snp import table
from troth.platforms.snp.format import SIZE


def _run(data: bytes) -> None:
    found = table.read(data, base=0)
    must(all(part in data for part in found.entries.values()), "an entry is not of the table")


def _seeds() -> Iterable[bytes]:
    # Small entries, too: with certificates in it, little of the table is the table.
    small = (72).to_bytes(4, "little") + (4).to_bytes(4, "little")
    next_one = (76).to_bytes(4, "little") + (2).to_bytes(4, "little")
    first, second = (table.GUIDS[name] for name in ("VCEK", "ASK"))
    yield first + small + second + next_one + bytes(24) + b"vcekas"
    yield bytes(24)
    yield from (case.evidence[SIZE:] for case in report_cases() if len(case.evidence) > SIZE)


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=6 * 1024,
    words=(*table.GUIDS.values(), b"\0" * 24),
)
