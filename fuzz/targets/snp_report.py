"""SNP reports, alone or with the host's certificate table behind them."""

import base64
from collections.abc import Iterable

from fuzz.simulated import report_cases
from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.platforms.snp import PLATFORM
from troth.platforms.snp.format import SIZE


def _run(data: bytes) -> None:
    found = PLATFORM.unwrap(data)
    bare = data if found is None else found[0]
    document = PLATFORM.parse(bare)
    must(document.data == bare[:SIZE], "a report is not the bytes it was read from")
    PLATFORM.claims(document, None)
    list(PLATFORM.fields(bare))


def _seeds() -> Iterable[bytes]:
    yield from (case.evidence for case in report_cases())
    yield base64.b64encode(report_cases()[0].evidence)
    yield from vectors("snp/*.report.bin")


TARGET = Target(run=_run, seeds=_seeds, words=(b"\0" * 24, b"\xff" * 8))
