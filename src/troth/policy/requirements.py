"""What a policy asks of a platform beside its registers: how new, how started, and where."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, TypeGuard

from troth.errors import Misuse
from troth.policy import device, events, names, says, vtpm

Leave = Literal["allowed", "refused"]
Need = Literal["required", "optional"]

STATUSES: Final = (
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "TDRelaunchAdvised",
    "TDRelaunchAdvisedConfigurationNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
)
"""Intel's words that a policy can admit. `Revoked` and `TcbNotSupported` are not among them."""

_INTEL: Final = (
    *("tcb_status", "advisories", "min_tcb_date", "min_evaluation_number"),
    *("bits", "minimum", "exact", "machines", "dynamic_platform", "cached_keys", "smt"),
)
KEYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sgx": _INTEL,
        "tdx": (*_INTEL, "migration", "sept_ve_disable", "events"),
        "snp": ("bits", "minimum", "exact", "machines", "migration", "vmpl"),
        "nvidia": (*device.WORDS, "hold", "minimum", "exact"),
        "tpm": (*vtpm.WORDS, "minimum", "exact", "events"),
        "maa": ("says", "minimum", "exact"),
        "gcs": ("says", "exact"),
        "ita": ("says", "minimum", "exact"),
        "nras": ("says", "minimum", "exact"),
    }
)
"""Platform to the fields of `Requirements` that have a meaning for it."""

_LEAVES: Final = ("migration", "dynamic_platform", "cached_keys", "smt", "hold")
_CHOICES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    dict.fromkeys(_LEAVES, ("allowed", "refused")) | {"sept_ve_disable": ("required", "optional")}
)
_ADVISORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_NUMBER: Final = 2**53 - 1  # what has one exact form in the digest; wider fields are for `bits`
_MAX_BITS: Final = 2**64 - 1
_LEVELS: Final = frozenset(range(4))
_VIEWS: Final = ("advisories", "bits", "minimum", "exact", "events", "says")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Bits that a field of flags must have.

    Attributes:
        mask: which bits are looked at.
        value: what these must be.

    Raises:
        Misuse: no bit is looked at, or the value has bits outside of the mask.
    """

    mask: int
    value: int

    def __post_init__(self) -> None:
        if not _whole(self.mask) or not 0 < self.mask <= _MAX_BITS:
            raise Misuse(f"a mask is 1 to 64 bits, not {self.mask!r}")
        if not _whole(self.value) or self.value < 0 or self.value & ~self.mask:
            raise Misuse(
                f"the mask {self.mask:#x} does not cover the value {self.value!r}",
                fix="a bit that must be set stands in the mask as well",
            )

    def hold(self, number: int) -> bool:
        """Whether the number has these bits."""
        return number & self.mask == self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What one platform must meet. The defaults are what counts where a policy says nothing.

    Attributes:
        tcb_status: Intel's words for a status that are good enough.
        advisories: those that may be open, each with the last day (UTC) on which it may.
        min_tcb_date: the oldest date of a TCB level that is good enough.
        min_evaluation_number: the lowest TCB evaluation data number that collateral may have.
        bits: number of the claims to the bits that it must have.
        minimum: number of the claims to the lowest value. For SNP, a bare part of the TCB (`snp`) is
            asked of what is reported and of what is committed; one part named here puts troth's own
            table of minima out of force.
        exact: number of the claims to its only value.
        machines: PPIDs or chip ids in lower-case hex; None is any machine.
        migration: whether the guest's memory may leave the machine with somebody's help.
        sept_ve_disable: whether that attribute of a TD must be set.
        dynamic_platform: whether a machine to which packages can be added is good enough.
        cached_keys: whether one whose keys are cached by Intel is.
        smt: whether one with hyper-threading is.
        vmpl: privilege levels at which a report may have been asked for.
        events: name of what an event log says to its allowed values. Together they may stand for the
            register that the log replays to; see `troth.policy.events`.
        says: name of what a token says in words to its allowed values; see `troth.policy.says`.
        driver_version, vbios_version: versions that count of an NVIDIA device. Together they stand for
            its measurements, which are compared with the vendor's values for just these versions.
        arch: its architectures that count: `hopper`, `blackwell`, `ls10`.
        mode: its modes that count: `spt`, `mpt`, `ppcie`. Of all four None is any.
        hold: whether certificates that the vendor has put on hold count.
        bank: banks of a TPM's registers that count: `sha256`, `sha384`, `sha512`; None is any of these.
        ak: who may vouch for a TPM's key: `azure`, `google`, or `bound` for whoever names this very key,
            such as the machine's own hardware report. None is anybody whose root counts.

    Raises:
        Misuse: a value that means nothing, or that would admit what must not be.
    """

    tcb_status: frozenset[str] = frozenset({"UpToDate"})
    advisories: Mapping[str, date] = field(default_factory=dict)
    min_tcb_date: date | None = None
    min_evaluation_number: int | None = None
    bits: Mapping[str, Bits] = field(default_factory=dict)
    minimum: Mapping[str, int] = field(default_factory=dict)
    exact: Mapping[str, int] = field(default_factory=dict)
    machines: frozenset[str] | None = None
    migration: Leave = "refused"
    sept_ve_disable: Need = "required"
    dynamic_platform: Leave = "allowed"
    cached_keys: Leave = "allowed"
    smt: Leave = "allowed"
    vmpl: frozenset[int] = frozenset({0})
    events: Mapping[str, frozenset[str]] = field(default_factory=dict)
    says: Mapping[str, frozenset[str]] = field(default_factory=dict)
    driver_version: frozenset[str] | None = None
    vbios_version: frozenset[str] | None = None
    arch: frozenset[str] | None = None
    mode: frozenset[str] | None = None
    hold: Leave = "refused"
    bank: frozenset[str] | None = None
    ak: frozenset[str] | None = None

    def __post_init__(self) -> None:
        for name in ("tcb_status", "vmpl", "machines", *device.WORDS, *vtpm.WORDS):
            if name in ("tcb_status", "vmpl") or getattr(self, name) is not None:
                object.__setattr__(self, name, _listed(name, getattr(self, name)))
        _check_words(self)
        for name in ("advisories", "bits", "minimum", "exact"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "events", events.checked(self.events))
        object.__setattr__(self, "says", says.checked(self.says))
        _check_statuses(self.tcb_status)
        _check_advisories(self.advisories)
        if self.min_tcb_date is not None:
            _check_day("min_tcb_date", self.min_tcb_date)
        _check_numbers(self)
        for machine in self.machines or ():
            _check_machine(machine)
        for name, words in _CHOICES.items():
            if getattr(self, name) not in words:
                raise Misuse(f"{name} is {' or '.join(words)}, not {getattr(self, name)!r}")
        if not all(_whole(level) for level in self.vmpl) or not self.vmpl <= _LEVELS:
            raise Misuse(
                f"vmpl is a list of levels from 0 to 3, not {sorted(self.vmpl, key=repr)}",
                fix="a report that the host asked for is of no level, and never counts",
            )

    def __reduce__(self) -> tuple[object, ...]:
        """For other processes: read-only views have no form of their own."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return _requirements, (values | {name: dict(values[name]) for name in _VIEWS},)

    def stated(self) -> dict[str, Any]:
        """The fields that are not as by default, in plain values: one form for one meaning."""
        return {
            item.name: _plain(getattr(self, item.name))
            for item in fields(self)
            if getattr(self, item.name) != getattr(DEFAULT, item.name)
        }


def _requirements(values: dict[str, Any]) -> Requirements:
    return Requirements(**values)


def checked(given: Mapping[str, Requirements]) -> Mapping[str, Requirements]:
    """Requirements by platform, without those that say nothing.

    Raises:
        Misuse: a platform that has no requirements, a field that the platform does not know, a number
            that it has not.
    """
    for platform, wanted in given.items():
        known = KEYS.get(platform)
        if known is None:
            raise Misuse(f"{platform} has no requirements; known are {', '.join(KEYS)}")
        for name in wanted.stated():
            if name not in known:
                raise Misuse(f"{platform}.{name} has no meaning; known are {_join(known)}")
        _check_names(platform, wanted)
        says.check_names(platform, wanted.says)
        size = names.MACHINE_BYTES.get(platform, 0)
        for machine in wanted.machines or ():
            if len(machine) != 2 * size:
                raise Misuse(f"{platform}.machines: {machine!r} is not {size} bytes in hex")
    return MappingProxyType({p: wanted for p, wanted in given.items() if wanted != DEFAULT})


def _check_names(platform: str, wanted: Requirements) -> None:
    """Every number that is named is one of the platform's."""
    parts = names.PARTS if platform == "snp" else ()
    for table in ("bits", "exact", "minimum"):
        known = names.NUMBERS[platform].union(parts if table == "minimum" else ())
        for name in getattr(wanted, table):
            if name not in known:
                raise Misuse(f"{platform}.{table} has no number {name!r}; known are {_join(known)}")
    if "snp" not in wanted.minimum and any(part in wanted.minimum for part in parts):
        raise Misuse(
            f"{platform}.minimum names parts of the TCB and not snp, the one that counts most",
            fix="the parts named here stand in for troth's own table: name all that you need",
        )


def _join(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _listed(name: str, values: Any) -> frozenset[Any]:
    if not isinstance(values, frozenset | set | list | tuple):
        raise Misuse(f"{name} should be a list, is {values!r}")
    if not values:
        raise Misuse(f"{name} is empty, so that nothing could be accepted")
    return frozenset(values)


def _check_statuses(statuses: frozenset[str]) -> None:
    for status in sorted(statuses, key=repr):
        if status in ("Revoked", "TcbNotSupported"):
            raise Misuse(f"tcb_status: no policy can admit {status}")
        if status not in STATUSES:
            raise Misuse(f"tcb_status: unknown {status!r}; known are {', '.join(STATUSES)}")


def _check_words(wanted: Requirements) -> None:
    for name in device.WORDS:
        device.check(name, getattr(wanted, name) or ())
    for name in vtpm.WORDS:
        vtpm.check(name, getattr(wanted, name) or ())


def _check_day(where: str, day: object) -> None:
    if not isinstance(day, date) or isinstance(day, datetime):
        raise Misuse(f"{where} should be a day like 2027-01-01, is {day!r}")


def _check_advisories(advisories: Mapping[str, date]) -> None:
    for advisory, day in advisories.items():
        if not _ADVISORY.fullmatch(advisory):
            raise Misuse(f"{advisory!r} is no name of an advisory")
        _check_day(f"advisories.{advisory}", day)


def _check_numbers(wanted: Requirements) -> None:
    if wanted.min_evaluation_number is not None:
        _check_number("min_evaluation_number", wanted.min_evaluation_number)
    for table in ("minimum", "exact"):
        for name, number in getattr(wanted, table).items():
            _check_number(f"{table}.{name}", number)
    for name, bits in wanted.bits.items():
        if not isinstance(bits, Bits):
            raise Misuse(f"bits.{name} should be a mask and a value, is {bits!r}")


def _check_number(where: str, number: object) -> None:
    if not _whole(number) or not 0 <= number <= _MAX_NUMBER:
        raise Misuse(
            f"{where} should be a whole number from 0 to 2^53 - 1, is {number!r}",
            fix="a wide field of flags is asked for with bits",
        )


def _check_machine(machine: object) -> None:
    if not isinstance(machine, str) or len(machine) % 2 or machine.strip("0123456789abcdef"):
        raise Misuse(f"machines: {machine!r} is no PPID or chip id in hex")
    if not machine.strip("0"):
        raise Misuse("machines: an id of zeros is of no machine: it was masked")


def _plain(value: Any) -> Any:
    if isinstance(value, Bits):
        return [f"{value.mask:#x}", f"{value.value:#x}"]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


DEFAULT: Final = Requirements()
"""What counts where a policy says nothing."""
