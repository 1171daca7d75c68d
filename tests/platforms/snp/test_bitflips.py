"""Every bit counts: no accepted report stays accepted after any single-bit change.

All 1184 bytes of a report are signed, are the signature, or must be zero: none may change. What the
host sends along is signed by nobody, but it either proves itself by AMD's signatures or is refused:

| bytes | why they can't matter |
| --- | --- |
| the GUID and the bytes of an entry of a kind that troth does not know | never read; hosts put data of their own there |
| an entry that the caller's own collateral makes needless | what counts then is the caller's |

An ECDSA signature (r, s) has a second valid form (r, n − s); that is no bit flip, and nothing takes the
digest of a report for its name (`test_attacks`).
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.platforms.snp.made import (
    LISTED,
    START,
    asked,
    crl,
    flipped,
    held,
    judged,
    refused,
)
from tests.platforms.snp.test_vectors import rows

from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.platforms.snp import PLATFORM
from troth.platforms.snp.format import SIZE
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import DevelopmentPki, Processor, extended

ALL = "ms-turin-v5.report.bin"
SAMPLE = 150
PARTS = 4  # so that two processes share the work


@pytest.mark.parametrize("part", range(PARTS))
def test_every_bit_of_a_real_report(vectors: Path, part: int) -> None:
    row = rows(vectors)[ALL]
    held, roots = row.collateral(), PLATFORM.roots()

    def fails(data: bytes) -> bool:
        """Whether it is refused for itself, and not for the CRL that no row supplies."""
        try:
            found = PLATFORM.genuine(PLATFORM.parse(data), roots, held, row.at)
        except Malformed:
            return True
        return any(check.outcome is Outcome.FAILED for check in found.checks)

    assert not fails(row.data)
    for bit in range(part, 8 * SIZE, PARTS):
        assert fails(flipped(row.data, bit)), bit


def sample(bits: Iterable[int], size: int = SAMPLE) -> list[int]:
    return random.Random(20261126).sample(list(bits), size)


@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("version", [2, 3, 4, 5])
@pytest.mark.parametrize("csp", ["", "CN=cloud.example"])
def test_bits_of_every_kind(
    pkis: dict[Product, DevelopmentPki], product: Product, version: int, csp: str
) -> None:
    if version == 2 and product is Product.TURIN:
        return
    processor = Processor.create(pkis[product], START, csp=csp)
    collateral = Collateral(items=held(processor))
    evidence = asked(processor, version=version)
    assert not refused(evidence, processor, collateral)
    for bit in sample(range(8 * SIZE)):
        assert refused(flipped(evidence, bit), processor, collateral), bit


def test_bits_of_what_the_host_sent_along(milan: Processor) -> None:
    """Nothing else is at hand: so every byte of the table counts, its padding included."""
    entries = {**milan.table(), "CRL": milan.pki.crl(LISTED)}
    evidence = extended(asked(milan), entries)
    padded = extended(asked(milan), entries, pages=True)
    nothing = Collateral()
    assert not refused(evidence, milan, nothing)
    assert not refused(padded, milan, nothing)
    head = range(8 * SIZE, 8 * (SIZE + 24 * (len(entries) + 1)))
    for bit in (*sample(head), *sample(range(head.stop, 8 * len(evidence)), 600)):
        assert refused(flipped(evidence, bit), milan, nothing), bit
    for bit in sample(range(8 * len(evidence), 8 * len(padded))):
        assert refused(flipped(padded, bit), milan, nothing), bit


def test_what_is_never_read_cannot_matter(milan: Processor) -> None:
    guid = "ab" * 16
    evidence = extended(asked(milan), {**milan.table(), guid: b"the host's own"})
    collateral = Collateral(items=(crl(milan.pki.crl(LISTED)),))
    start = evidence.index(b"the host's own")
    before = PLATFORM.claims(PLATFORM.parse(evidence))
    for bit in range(8 * start, 8 * len(evidence)):
        changed = flipped(evidence, bit)
        assert not refused(changed, milan, collateral)
        assert PLATFORM.claims(PLATFORM.parse(changed)) == before


@pytest.mark.parametrize("which", range(3))
def test_bits_of_the_callers_collateral(milan: Processor, which: int) -> None:
    items = held(milan)
    evidence = asked(milan)
    data = items[which].data
    for bit in sample(range(8 * len(data)), 300):
        changed = replace(items[which], data=flipped(data, bit))
        mixed = (*items[:which], changed, *items[which + 1 :])
        assert judged(evidence, milan, *mixed).verdict is not Verdict.ACCEPTED, bit
