"""At which of Intel's levels does a platform stand, and what is it short of? Values in, words out.

Source: the TCB evaluation of Intel's quote verification library (`TcbLevelCheck`, `TdxModuleCheck`,
convergence and relaunch advice), written from its rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import ge, lt
from typing import Final, TypeVar

from troth.model.tcb import Finding, Short, Tcb
from troth.platforms.dcap.collateral import EnclaveIdentity, Level, Module, SvnLevel, TcbInfo
from troth.platforms.dcap.pck import Pck

NOT_SUPPORTED: Final = "TcbNotSupported"
REVOKED: Final = "Revoked"
UP_TO_DATE: Final = "UpToDate"
OUT_OF_DATE: Final = "OutOfDate"

# Best first; the order says which level is worth a step, and nothing else.
_LADDER: Final = {
    status: place
    for place, status in enumerate(
        (
            UP_TO_DATE,
            "SWHardeningNeeded",
            "ConfigurationNeeded",
            "ConfigurationAndSWHardeningNeeded",
            "TDRelaunchAdvised",
            "TDRelaunchAdvisedConfigurationNeeded",
            OUT_OF_DATE,
            "OutOfDateConfigurationNeeded",
            REVOKED,
            NOT_SUPPORTED,
        )
    )
}
_NEEDS_CONFIGURATION: Final = frozenset(
    {
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDateConfigurationNeeded",
    }
)
_L = TypeVar("_L", Level, SvnLevel)
_OUT: Final = frozenset({OUT_OF_DATE, "OutOfDateConfigurationNeeded"})


@dataclass(frozen=True, slots=True)
class Td:
    """What of a TD report the levels look at: 16 bytes of versions, and the module's identity."""

    tcb_svn: bytes
    mrsignerseam: bytes
    seam_attributes: bytes
    current_tcb_svn: bytes | None = None


@lru_cache(maxsize=128)
def evaluate(pck: Pck, qe_svn: int, td: Td | None, info: TcbInfo, qe: EnclaveIdentity) -> Tcb:
    """Looks a platform up in the levels, part by part, and joins what is found.

    A pure function of frozen values, remembered for speed: a fleet has few kinds of platform.

    Args:
        pck: what the PCK certificate says of the platform.
        qe_svn: ISV SVN of the quoting enclave.
        td: the TD's own versions, or None for SGX.
        info: levels; the caller has compared FMSPC, PCE-ID and kind of TEE.
        qe: levels of the quoting enclave.

    Does not verify: signatures, windows, and that the module's signer is the one listed (`module`).
    """
    quoting = _enclave("QE", qe_svn, qe.levels, "the SGX platform software (quoting enclave)")
    if td is None:
        platform = _platform("platform", pck, None, info)
        return _joined(_converge(platform.status, (quoting.status,)), (platform, quoting), info, qe)
    status, parts = _launched("", pck, td.tcb_svn, info, quoting)
    findings = [*parts, quoting]
    if td.current_tcb_svn is not None:
        now, parts = _launched("current ", pck, td.current_tcb_svn, info, quoting)
        findings += parts
        status = _relaunch(status, now)
    return _joined(status, findings, info, qe)


def module(td_svn: bytes, info: TcbInfo) -> Module | None:
    """The module that a TD's versions name: by its major version from 1 on, else that of TDX 1.0."""
    return info.modules.get(td_svn[1] or None)


def _launched(
    prefix: str, pck: Pck, svn: bytes, info: TcbInfo, quoting: Finding
) -> tuple[str, list[Finding]]:
    platform = _platform(f"{prefix}platform", pck, svn, info)
    parts, joined = [platform], [quoting.status]
    if svn[1] > 0:
        listed = module(svn, info)
        part = _enclave(
            f"{prefix}TDX module {svn[1]}.x",
            svn[0],
            () if listed is None else listed.levels,
            "the TDX module",
        )
        parts.append(part)
        joined.append(part.status)
    return _converge(platform.status, joined), parts


def _platform(part: str, pck: Pck, svn: bytes | None, info: TcbInfo) -> Finding:
    """The first level, highest first, that every component meets."""
    has = _Versions(bytes(pck.components), pck.pce_svn, svn)
    found = next((level for level in info.levels if has.meet(level)), None)
    status = NOT_SUPPORTED if found is None else found.status
    better = _better(info.levels, status)
    short: tuple[Short, ...] = ()
    words = ""
    if better:
        # The nearest: the one with the fewest components short, and of those the best.
        nearest = min(better, key=lambda level: (has.lacks(level), _LADDER[level.status]))
        short = has.short(nearest, info.names)
        words = f"{nearest.status}, {nearest.date:%Y-%m-%d}"
    return Finding(
        part=part,
        status=status,
        date=None if found is None else found.date,
        advisories=() if found is None else found.advisories,
        short=short,
        better=words,
        fix=_fix(short),
    )


@dataclass(frozen=True, slots=True)
class _Versions:
    sgx: bytes
    pce_svn: int
    tdx: bytes | None

    def meet(self, level: Level) -> bool:
        return (
            self.pce_svn >= level.pce_svn
            and all(map(ge, self.sgx, level.sgx))
            and (self.tdx is None or all(map(ge, self.tdx[self._own :], level.tdx[self._own :])))
        )

    def lacks(self, level: Level) -> int:
        """How many numbers are too small."""
        count: int = sum(map(lt, self.sgx, level.sgx)) + (self.pce_svn < level.pce_svn)
        if self.tdx is not None:
            count += sum(map(lt, self.tdx[self._own :], level.tdx[self._own :]))
        return count

    @property
    def _own(self) -> int:
        """From TDX 1.5 on, the first two bytes are the module's version, which has its own levels."""
        return 2 if self.tdx is not None and self.tdx[1] > 0 else 0

    def short(self, level: Level, names: Sequence[str]) -> tuple[Short, ...]:
        found = [
            Short(component=_named("SGX", index, names, 0), has=has, needs=needs)
            for index, (has, needs) in enumerate(zip(self.sgx, level.sgx, strict=True))
            if has < needs
        ]
        if self.pce_svn < level.pce_svn:
            found.append(Short(component="PCESVN", has=self.pce_svn, needs=level.pce_svn))
        if self.tdx is not None:
            found += [
                Short(component=_named("TDX", index, names, 16), has=has, needs=needs)
                for index, (has, needs) in enumerate(zip(self.tdx, level.tdx, strict=True))
                if index >= self._own and has < needs
            ]
        return tuple(found)


def _named(kind: str, index: int, names: Sequence[str], offset: int) -> str:
    """Components are numbered from 1, as in Intel's documents."""
    name = names[offset + index] if len(names) > offset + index else ""
    return f"{kind} component {index + 1}" + (f" ({name})" if name else "")


def _fix(short: Sequence[Short]) -> str:
    """Who can bring it up to date: Intel says of each component whether BIOS or OS load it."""
    carriers = []
    text = " ".join(item.component for item in short)
    if "BIOS" in text:
        carriers.append("the BIOS")
    if "OS/VMM" in text:
        carriers.append("microcode or modules that the host's system loads")
    if "PCESVN" in text:
        carriers.append("the SGX platform software")
    if short and not carriers:
        carriers.append("BIOS and microcode")
    return f"update {' and '.join(carriers)}" if carriers else ""


def _enclave(part: str, has: int, levels: Sequence[SvnLevel], what: str) -> Finding:
    found = next((level for level in levels if level.isvsvn <= has), None)
    status = NOT_SUPPORTED if found is None else found.status
    better = _better(levels, status)
    short: tuple[Short, ...] = ()
    words = ""
    if better:
        nearest = min(better, key=lambda level: level.isvsvn)
        short = (Short(component=f"{part} version", has=has, needs=nearest.isvsvn),)
        words = f"{nearest.status}, {nearest.date:%Y-%m-%d}"
    return Finding(
        part=part,
        status=status,
        date=None if found is None else found.date,
        advisories=() if found is None else found.advisories,
        short=short,
        better=words,
        fix=f"update {what}" if short else "",
    )


def _better(levels: Sequence[_L], status: str) -> list[_L]:
    if status == UP_TO_DATE:
        return []
    return [level for level in levels if _LADDER[level.status] < _LADDER[status]]


def _converge(platform: str, parts: Sequence[str]) -> str:
    """Intel's rule for joining a platform's status with those of its enclave and module."""
    everything = (platform, *parts)
    for worst in (NOT_SUPPORTED, REVOKED):
        if worst in everything:
            return worst
    if OUT_OF_DATE in parts:
        if platform in (UP_TO_DATE, "SWHardeningNeeded"):
            return OUT_OF_DATE
        if platform in ("ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"):
            return "OutOfDateConfigurationNeeded"
    return platform


def _relaunch(launched: str, current: str) -> str:
    """A TD that was launched under an old module on a host that has a good one by now.

    In all other cases the worse counts. Intel's rule leaves the level of the launch then, though what
    runs now has the TD's memory in its hands.
    """
    for worst in (NOT_SUPPORTED, REVOKED):
        if worst in (launched, current):
            return worst
    if launched in _OUT and current not in _OUT:
        if {launched, current} & _NEEDS_CONFIGURATION:
            return "TDRelaunchAdvisedConfigurationNeeded"
        return "TDRelaunchAdvised"
    return max(launched, current, key=_LADDER.__getitem__)


def _joined(status: str, findings: Sequence[Finding], info: TcbInfo, qe: EnclaveIdentity) -> Tcb:
    dates = [finding.date for finding in findings if finding.date is not None]
    complete = len(dates) == len(findings)
    return Tcb(
        status=status,
        date=min(dates) if complete else None,
        advisories=tuple(dict.fromkeys(name for f in findings for name in f.advisories)),
        evaluation_number=min(info.evaluation_number, qe.evaluation_number),
        findings=tuple(findings),
    )
