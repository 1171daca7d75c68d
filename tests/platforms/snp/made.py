"""Machines of the simulator, what a caller holds for them, and a policy that accepts them."""

from datetime import UTC, datetime, timedelta

import troth
from troth.errors import TrothError
from troth.model.check import Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Report
from troth.platforms.snp.simulate import Processor
from troth.platforms.snp.simulate_pki import to_pem
from troth.policy.requirements import Requirements

START = datetime(2026, 1, 1, tzinfo=UTC)
AT = datetime(2026, 11, 1, tzinfo=UTC)
LISTED = AT - timedelta(days=3)
NONCE = bytes(range(32))
CODE = b"\x5a" * 48
POLICY = troth.Policy(
    name="simulated",
    registers={"snp": {"measurement": frozenset({CODE.hex()})}},
    requirements={"snp": Requirements(minimum={"snp": 4})},
)


def endorsement(der: bytes) -> Item:
    return Item(kind=Kind.AMD_ENDORSEMENT, data=der, source="a test")


def chain(*certificates: bytes) -> Item:
    return Item(kind=Kind.AMD_CHAIN, data=to_pem(*certificates), source="a test")


def crl(der: bytes) -> Item:
    return Item(kind=Kind.AMD_CRL, data=der, source="a test")


def held(processor: Processor) -> tuple[Item, ...]:
    """All that a verifier needs for reports of this machine: endorsement, chain, list."""
    return processor.collateral(LISTED).items


def asked(processor: Processor, **fields: object) -> bytes:
    """A report over the nonce of a guest that runs the expected code."""
    said = {"report_data": NONCE, "measurement": CODE, **fields}
    return processor.report(**said)  # type: ignore[typeddict-item]


def judged(
    evidence: bytes,
    processor: Processor,
    *items: Item,
    policy: troth.Policy = POLICY,
    at: datetime = AT,
) -> Report:
    """The report on evidence under the processor's root; with no items, all that is needed."""
    return troth.appraise(
        evidence,
        policy=policy,
        at=at,
        nonce=NONCE,
        trust=[processor.pki.root()],
        collateral=Collateral(items=items or held(processor)),
    )


def refused(evidence: bytes, processor: Processor, collateral: Collateral) -> bool:
    """Whether it is not accepted; anything but our errors fails the test."""
    try:
        troth.verify(
            evidence,
            policy=POLICY,
            at=AT,
            nonce=NONCE,
            trust=[processor.pki.root()],
            collateral=collateral,
        )
    except TrothError:
        return True
    return False


def codes(report: Report, outcome: Outcome) -> set[str]:
    return {check.code.id for check in report.checks if check.outcome is outcome}


def failing(report: Report) -> set[str]:
    return codes(report, Outcome.FAILED)


def still_open(report: Report) -> set[str]:
    return codes(report, Outcome.UNDECIDED)


def why(report: Report, code: str) -> str:
    (check,) = (check for check in report.checks if check.code.id == code)
    return check.why


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
