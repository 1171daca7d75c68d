"""How was the guest started, which version of it, on which machine, and who asked for the report?"""

from collections.abc import Iterator, Mapping
from typing import Final

from troth.model.check import Check, failed, passed, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.policy import P201, P202, P203, P204, P205, P206
from troth.policy import device, events
from troth.policy.document import Policy
from troth.policy.names import PARTS
from troth.policy.requirements import Bits, Requirements

# Intel TDX module specification, TDATTRIBUTES.
_SEPT_VE_DISABLE: Final = Bits(mask=1 << 28, value=1 << 28)
_MIGRATABLE: Final = 1 << 29
_SERVICE_TDS: Final = ("mrservicetd", "init_servtd_hash", "cur_servtd_hash")
# AMD SEV-SNP ABI specification, guest policy.
_MIGRATE_MA: Final = 1 << 18
_NO_AGENT: Final = "ff" * 32
_MACHINE: Final = ("dynamic_platform", "cached_keys", "smt")
_MIGRATE: Final = frozenset({"tdx", "snp"})


def required(asked: Requirements, platform: str) -> tuple[Code, ...]:
    """The questions about guest and machine that must be answered for a platform."""
    codes = []
    if asked.bits or _septs(asked, platform) or any(_machine_refused(asked)):
        codes.append(P201)
    if _versions(asked, platform):
        codes.append(P202)
    if asked.exact:
        codes.append(P206)
    if asked.machines is not None:
        codes.append(P203)
    if platform in _MIGRATE:
        codes.append(P204)
    if platform == "snp":
        codes.append(P205)
    return tuple(codes)


def checks(policy: Policy, claims: Claims, *, source: str) -> Iterator[Check]:
    """Every check of guest and machine; none for a platform that has no such things."""
    platform, numbers = claims.platform, claims.numbers
    asked = policy.asks(platform)
    if _septs(asked, platform):
        yield _bits("td_attributes", _SEPT_VE_DISABLE, numbers, source, why="SEPT_VE_DISABLE")
    for name, bits in asked.bits.items():
        yield _bits(name, bits, numbers, source)
    for name in _machine_refused(asked):
        yield _machine_flag(name, numbers, source)
    for name, lowest in _versions(asked, platform).items():
        make = passed if name in numbers and numbers[name] >= lowest else failed
        yield make(
            P202,
            name,
            presented=_number(numbers, name),
            expected=f"at least {lowest}",
            source=source,
        )
    for name, only in asked.exact.items():
        make = passed if numbers.get(name) == only else failed
        yield make(P206, name, presented=_number(numbers, name), expected=f"{only}", source=source)
    if asked.machines is not None:
        make = passed if claims.instance.lower() in asked.machines else failed
        yield make(
            P203,
            "machine",
            presented=claims.instance or "none",
            expected=f"on the policy's list of {len(asked.machines)}",
            source=source,
        )
    if platform in _MIGRATE:
        yield _migration(policy, claims, source)
    if platform == "snp":
        make = passed if numbers.get("vmpl") in asked.vmpl else failed
        expected = " or ".join(map(str, sorted(asked.vmpl)))
        yield make(
            P205, "vmpl", presented=_number(numbers, "vmpl"), expected=expected, source=source
        )


def identity(policy: Policy, claims: Claims) -> tuple[str, ...]:
    """The registers that must be pinned, so that the policy says what runs.

    A signer stands for the code only together with the product that it signed and the lowest version
    of it: an old version with a hole in it is signed, too. Events of a log stand for the register that it
    replays to only if all that the system measured there is pinned.
    """
    asked = policy.asks(claims.platform)
    pinned = policy.registers.get(claims.platform, {})
    if (
        claims.alternative
        and all(name in pinned for name in claims.alternative)
        and "isvprodid" in asked.exact
        and ("isvsvn" in asked.minimum or "isvsvn" in asked.exact)
    ):
        return claims.alternative
    return code(policy, claims)


def code(policy: Policy, claims: Claims) -> tuple[str, ...]:
    """The registers that identify code, but for those in whose place the policy pins all that is in them."""
    asked = policy.asks(claims.platform)
    named = {**asked.events, **device.stated(asked)}
    return events.uncovered(named, claims, claims.identity)


def _septs(asked: Requirements, platform: str) -> bool:
    return platform == "tdx" and asked.sept_ve_disable == "required"


def _machine_refused(asked: Requirements) -> list[str]:
    return [name for name in _MACHINE if getattr(asked, name) == "refused"]


def _versions(asked: Requirements, platform: str) -> dict[str, int]:
    """The minima that are not of AMD's TCB, which `troth.policy.tcb` asks for."""
    if platform != "snp":
        return dict(asked.minimum)
    return {name: lowest for name, lowest in asked.minimum.items() if name not in PARTS}


def _number(numbers: Mapping[str, int], name: str) -> str:
    return str(numbers[name]) if name in numbers else "absent"


def _bits(
    name: str, bits: Bits, numbers: Mapping[str, int], source: str, *, why: str = ""
) -> Check:
    number = numbers.get(name)
    make = passed if number is not None and bits.hold(number) else failed
    return make(
        P201,
        name,
        presented="absent" if number is None else f"{number:#x}",
        expected=f"{bits.value:#x} under the mask {bits.mask:#x}",
        source=source,
        why=why,
    )


def _machine_flag(name: str, numbers: Mapping[str, int], source: str) -> Check:
    """Only certificates of Intel's Platform CA say it; of another machine nobody knows."""
    number = numbers.get(name)
    if number is None:
        return undecided(
            P201, name, presented="absent", expected="0", source=source, why="nobody says it"
        )
    make = passed if number == 0 else failed
    return make(P201, name, presented=str(number), expected="0", source=source)


def _migration(policy: Policy, claims: Claims, source: str) -> Check:
    if policy.asks(claims.platform).migration == "allowed":
        return passed(P204, "migration", expected="allowed", source=source)
    presented = _helpers(policy, claims)
    make = failed if presented else passed
    return make(P204, "migration", presented=presented or "none", expected="none", source=source)


def _helpers(policy: Policy, claims: Claims) -> str:
    """Who can move or read the guest's memory, in words; empty if nobody can."""
    flags = claims.numbers.get("td_attributes" if claims.platform == "tdx" else "policy")
    if flags is None:
        return "the evidence does not say"
    if claims.platform == "snp":
        agent = claims.registers.get("report_id_ma", "")
        return f"migration agent {agent}" if flags & _MIGRATE_MA and agent != _NO_AGENT else ""
    if flags & _MIGRATABLE:
        return "the attribute MIGRATABLE is set"
    for register in _SERVICE_TDS:
        service = claims.registers.get(register, "")
        if service.strip("0") and register not in policy.registers.get("tdx", {}):
            return f"service TD {service}"
    return ""
