"""A good token of each service, what a caller holds for it, and a policy that accepts it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import troth
from troth.errors import TrothError
from troth.model.check import Check, Outcome
from troth.model.collateral import Collateral, Item
from troth.model.report import Report
from troth.model.roots import Root
from troth.platforms.tokens import simulate_claims as said
from troth.platforms.tokens.simulate import TENANT, Service, bundle
from troth.policy.requirements import Requirements

START = datetime(2026, 11, 1, tzinfo=UTC)
MADE = START + timedelta(hours=10)
AT = MADE + timedelta(minutes=1)
NONCE = bytes(range(1, 33))

TD = {name: value for name, value in said.ita_tdx(NONCE)["tdx"].items()}  # noqa: C416
_RULES = said.RULES.hex()


def pins(platform: str, **registers: str) -> dict[str, dict[str, frozenset[str]]]:
    return {platform: {name: frozenset({value}) for name, value in registers.items()}}


@dataclass(frozen=True)
class Kind:
    """A kind of token: who signs it, what it says, and what must be expected of it."""

    name: str
    service: str
    claims: Callable[[bytes], dict[str, Any]]
    policy: troth.Policy
    certified: bool = False


def _kind(
    name: str,
    service: str,
    claims: Callable[[bytes], dict[str, Any]],
    registers: Mapping[str, str],
    *,
    certified: bool = False,
    exact: Mapping[str, int] | None = None,
    **says: str,
) -> Kind:
    policy = troth.Policy(
        name="simulated",
        registers=pins(service, **registers) if registers else {},
        requirements={
            service: Requirements(
                says={word: frozenset({value}) for word, value in says.items()},
                exact=exact or {},
            )
        },
    )
    return Kind(name, service, claims, policy, certified)


_TDX = {"mrtd": said.CODE} | {f"rtmr{i}": f"{0x60 + i:02x}" * 48 for i in range(4)}
_SPACE = {"audience": "https://verifier.example", "hwmodel": "GCP_INTEL_TDX"}
KINDS = {
    kind.name: kind
    for kind in (
        _kind(
            "maa-sgx",
            "maa",
            said.maa_sgx,
            {"x_ms_sgx_mrenclave": said.DIGEST, "x_ms_policy_hash": _RULES},
            issuer=TENANT,
        ),
        _kind(
            "maa-snp",
            "maa",
            said.maa_snp,
            {
                "x_ms_sevsnpvm_launchmeasurement": said.CODE,
                "x_ms_sevsnpvm_hostdata": said.DIGEST,
                "x_ms_policy_hash": _RULES,
            },
            issuer=TENANT,
        ),
        _kind(
            "maa-tdx",
            "maa",
            said.maa_tdx,
            {f"x_ms_tdx_{n}": v for n, v in _TDX.items()} | {"x_ms_policy_hash": _RULES},
            issuer=TENANT,
        ),
        _kind("gcs", "gcs", said.gcs, {"image_digest": said.DIGEST}, **_SPACE),
        _kind("gcs-pki", "gcs", said.gcs, {"image_digest": said.DIGEST}, certified=True, **_SPACE),
        _kind("ita-tdx", "ita", said.ita_tdx, {f"tdx_{n}": v for n, v in _TDX.items()}),
        _kind("ita-sgx", "ita", said.ita_sgx, {"sgx_mrenclave": said.DIGEST}),
        _kind(
            "nras",
            "nras",
            lambda _: {"GPU-0": said.gpu(0), "GPU-1": said.gpu(1)},
            {},
            exact={"gpus": 2},
            driver_version="550.90.07",
            vbios_version="96.00.9F.00.01",
        ),
    )
}


def evidence(kind: Kind, service: Service, *, at: datetime = MADE, **changes: Any) -> bytes:
    """A token of this kind, with claims changed; one that is changed to None is absent."""
    claims = kind.claims(NONCE) | changes
    if kind.service == "nras":
        return bundle(service, claims, at, nonce=NONCE)
    claims = {name: value for name, value in claims.items() if value is not None}
    return service.token(claims, at, certified=kind.certified)


def roots(kind: Kind, service: Service) -> tuple[Root, ...]:
    return (service.authority(),) if kind.certified else service.roots()


def judged(
    data: bytes,
    kind: Kind,
    service: Service,
    *,
    at: datetime = AT,
    nonce: bytes | None = NONCE,
    policy: troth.Policy | None = None,
    trust: tuple[Root, ...] | None = None,
    items: tuple[Item, ...] | None = None,
) -> Report:
    """The report under the service's own key, and its key set."""
    return troth.appraise(
        data,
        policy=kind.policy if policy is None else policy,
        at=at,
        nonce=nonce,
        trust=roots(kind, service) if trust is None else trust,
        collateral=Collateral(items=(service.collateral(),) if items is None else items),
    )


def refused(data: bytes, kind: Kind, service: Service) -> bool:
    """Whether it is not accepted; anything but our errors fails the test."""
    try:
        troth.verify(
            data,
            policy=kind.policy,
            at=AT,
            nonce=NONCE,
            trust=roots(kind, service),
            collateral=Collateral(items=(service.collateral(),)),
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


def checks(report: Report, code: str) -> list[Check]:
    return [check for check in report.checks if check.code.id == code]
