"""Every bit counts: no accepted token stays accepted after any single-bit change, and none after a cut.

Nothing in a token is free: header and payload are signed as they were encoded, the encoding has one
form, and so has a bundle. What nobody signs of a bundle is its JSON, which says names and nothing else.
An ECDSA signature (r, s) has a second valid form (r, n − s); that is no bit flip.
"""

import pytest
from tests.platforms.tokens.made import AT, KINDS, MADE, NONCE, Kind, evidence, refused, roots

from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.collateral import Collateral
from troth.platforms import PLATFORMS
from troth.platforms.tokens import simulate_claims as said
from troth.platforms.tokens.simulate import Service, bundle

WHOLE = ("maa-snp", "gcs", "ita-tdx", "nras")
PARTS = 4  # so that two processes share the work


def fails(data: bytes, kind: Kind, service: Service) -> bool:
    """Whether its form or a check of genuineness refuses it, whatever the policy."""
    platform = next(p for p in PLATFORMS if p.name == kind.service)
    try:
        bare = platform.unwrap(data)
        if bare is None:
            return True
        document = platform.parse(bare[0])
    except Malformed:
        return True
    held = Collateral(items=(service.collateral(),))
    found = platform.genuine(document, roots(kind, service), held, AT)
    return any(check.outcome is not Outcome.PASSED for check in found.checks)


def _small(kind: Kind, service: Service) -> bytes:
    """Of one device, where there may be several."""
    if kind.service != "nras":
        return evidence(kind, service)
    return bundle(service, {"GPU-0": said.gpu()}, MADE, nonce=NONCE)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", WHOLE)
def test_every_bit(services: dict[str, Service], name: str, part: int) -> None:
    kind = KINDS[name]
    service = services[kind.service]
    data = _small(kind, service)
    assert not fails(data, kind, service)
    for bit in range(part, 8 * len(data), PARTS):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        assert fails(bytes(changed), kind, service), bit


@pytest.mark.parametrize("name", KINDS)
def test_bits_of_every_kind(services: dict[str, Service], name: str) -> None:
    kind = KINDS[name]
    service = services[kind.service]
    data = evidence(kind, service)
    for bit in range(3, 8 * len(data), 101):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        assert refused(bytes(changed), kind, service), bit


@pytest.mark.parametrize("name", WHOLE)
def test_every_truncation(services: dict[str, Service], name: str) -> None:
    kind = KINDS[name]
    service = services[kind.service]
    data = _small(kind, service)
    for size in range(len(data)):
        assert fails(data[:size], kind, service), size
