"""Simulated TPMs and authorities, made once, and what tests ask of reports."""

import functools
from datetime import UTC, datetime

import troth
from troth.model.check import Outcome
from troth.model.collateral import Collateral
from troth.model.report import Report
from troth.model.roots import Root, RootClass
from troth.platforms.tpm import PLATFORM
from troth.platforms.tpm.simulate import SimulatedTpm
from troth.platforms.tpm.simulate_pki import DevelopmentPki
from troth.wire import tpm

AT = datetime(2026, 11, 1, tzinfo=UTC)
NONCE = bytes(range(32))


@functools.cache
def _pki(cloud: str) -> DevelopmentPki:
    return DevelopmentPki.create(cloud, at=AT)


def pki(cloud: str = "azure") -> DevelopmentPki:
    return _pki(cloud)


@functools.cache
def _key(scheme: int, number: int) -> SimulatedTpm:
    del number  # another key for another number
    return SimulatedTpm.create(scheme)


def key(scheme: int = tpm.RSASSA, number: int = 0) -> SimulatedTpm:
    return _key(scheme, number)


def booted(scheme: int = tpm.RSASSA, number: int = 0, **how: object) -> SimulatedTpm:
    """A TPM whose guest has booted; its key is the same each time."""
    made = SimulatedTpm(key=key(scheme, number).key, scheme=scheme)
    made.start()
    made.boot(**how)  # type: ignore[arg-type]
    return made


@functools.cache
def certificate(cloud: str = "azure", scheme: int = tpm.RSASSA, number: int = 0) -> bytes:
    return pki(cloud).certify(key(scheme, number).ak, at=AT)


def trusted_ak(made: SimulatedTpm, root_class: RootClass = RootClass.DEVELOPMENT) -> Root:
    digest = PLATFORM.claims(PLATFORM.parse(made.evidence(NONCE))).instance
    return Root(
        platform="tpm", sha256=digest, key_sha256=digest, root_class=root_class, source="the test"
    )


def policy(data: bytes, **asked: object) -> troth.Policy:
    """One that expects exactly what a quote says, under development roots."""
    found = PLATFORM.unwrap(data)
    assert found is not None
    claims = PLATFORM.claims(PLATFORM.parse(found[0]))
    return troth.Policy(
        name="pinned",
        registers={"tpm": {name: frozenset({claims.registers[name]}) for name in claims.identity}},
        roots_allow=frozenset({RootClass.DEVELOPMENT, RootClass.VENDOR}),
        **asked,  # type: ignore[arg-type]
    )


def appraised(
    data: bytes,
    *,
    like: bytes | None = None,
    cloud: str | None = "azure",
    at: datetime = AT,
    nonce: bytes | None = NONCE,
    trust: tuple[Root, ...] = (),
    collateral: Collateral | None = None,
    event_log: bytes | None = None,
    pinned: troth.Policy | None = None,
) -> Report:
    """The report on a quote under a cloud's authorities.

    Args:
        data: the quote.
        like: a quote whose values the policy pins; this one if it is not given.
        cloud: whose authorities count and lie beside it, or None for nobody's.
        at, nonce, trust, collateral, event_log: as for `troth.appraise`.
        pinned: the policy, if it is not to be made of `like`.
    """
    roots = trust if cloud is None else (*trust, pki(cloud).trusted())
    held = Collateral() if cloud is None else pki(cloud).collateral()
    return troth.appraise(
        data,
        policy=pinned or policy(data if like is None else like),
        at=at,
        nonce=nonce,
        trust=roots,
        collateral=held if collateral is None else collateral,
        event_log=event_log,
    )


def codes(report: Report, outcome: Outcome) -> set[str]:
    return {check.code.id for check in report.checks if check.outcome is outcome}


def failing(report: Report) -> set[str]:
    return codes(report, Outcome.FAILED)


def still_open(report: Report) -> set[str]:
    return codes(report, Outcome.UNDECIDED)
