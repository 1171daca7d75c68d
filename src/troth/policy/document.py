"""The policy: what a relying party requires, as a value."""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from troth.errors import Misuse
from troth.model.channel import Binding
from troth.model.composite import MAX_PARTS
from troth.model.roots import RootClass
from troth.policy import names
from troth.policy.requirements import DEFAULT, Requirements, checked
from troth.wire import json

if TYPE_CHECKING:
    from troth.tlog.terms import Terms

DEFAULT_MAX_AGE: Final = timedelta(minutes=5)
SCHEMA: Final = "troth/policy/1"

_LONGEST: Final = timedelta(days=36525)
_BARE: Final = re.compile(r"[a-z0-9_]{1,64}")
Registers = Mapping[str, Mapping[str, frozenset[str]]]
Measurements = Mapping[str, Mapping[str, str | Collection[str]]]
"""Platform to register to its value in hex, or to several that stand for the same image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Requirements on evidence. Says nothing of nonce and key: those belong to one question.

    Attributes:
        name: for reports.
        registers: platform to register to its allowed values in lower-case hex. A register that
            identifies code and is not here leaves the verdict undecided.
        requirements: platform to what it must meet beside its registers. Where a platform is not
            here, the defaults of `Requirements` count.
        max_age: how old evidence may be at the instant, in whole seconds. None is five minutes, and
            a matching nonce alone is then fresh enough; a stated age holds with a nonce, too.
        roots_allow: classes of root that count. A root that is not a vendor's counts only if, beside
            this, the caller passed it or `development_roots` names it.
        development_roots: SHA-256 digests of development roots that this policy admits by name.
        require_key: whether evidence counts only for a key that the caller gives.
        channel: the loosest tie between evidence and the way to the service that counts.
        parts: platform to how many parts of it there must be beside the one that leads, exactly.
        unreviewed: written by `policy pin`, and not yet read by a person.
        release: under which terms a release in a log says what may run; None where none does.
        expires: instant past which the policy leaves every verdict undecided.
        sha256: digest of the canonical form; made, never given.

    Raises:
        Misuse: a field that no document of a policy could hold.
    """

    name: str
    registers: Registers = field(default_factory=dict)
    requirements: Mapping[str, Requirements] = field(default_factory=dict)
    max_age: timedelta | None = None
    roots_allow: frozenset[RootClass] = frozenset(RootClass)
    development_roots: frozenset[str] = frozenset()
    require_key: bool = False
    channel: Binding = Binding.SESSION
    parts: Mapping[str, int] = field(default_factory=dict)
    unreviewed: bool = False
    release: "Terms | None" = None
    expires: datetime | None = None
    sha256: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        frozen = {}
        for platform, registers in self.registers.items():
            if not registers:
                raise Misuse(
                    f"{platform} is named and expects nothing", fix=f"leave {platform} away"
                )
            for register, values in registers.items():
                _check_values(platform, register, values)
            frozen[platform] = MappingProxyType({n: frozenset(v) for n, v in registers.items()})
        object.__setattr__(self, "registers", MappingProxyType(frozen))
        object.__setattr__(self, "requirements", checked(self.requirements))
        object.__setattr__(self, "parts", _counted(self.parts))
        if self.max_age is not None:
            _check_age(self.max_age)
        if self.expires is not None:
            object.__setattr__(self, "expires", _utc(self.expires))
        object.__setattr__(self, "sha256", hashlib.sha256(self.canonical()).hexdigest())

    def __reduce__(self) -> tuple[object, ...]:
        """For other processes: read-only views have no form of their own."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        registers = {platform: dict(pinned) for platform, pinned in self.registers.items()}
        return _policy, (
            values
            | {
                "registers": registers,
                "requirements": dict(self.requirements),
                "parts": dict(self.parts),
            },
        )

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> Self:
        """Reads a policy document; see `troth.policy.toml`."""
        from troth.policy import toml

        return cls(**toml.read(text, source=source))

    def to_toml(self) -> str:
        """The policy as a document that `from_toml` reads back to an equal value."""
        from troth.policy import toml

        return toml.write(
            {
                "name": self.name,
                "expires": self.expires,
                "unreviewed": self.unreviewed,
                "roots_allow": self.roots_allow,
                "development_roots": self.development_roots,
                "max_age": self.max_age,
                "require_key": self.require_key,
                "channel": self.channel,
                "parts": self.parts,
                "release": self.release,
                "registers": self.registers,
                "requirements": self.requirements,
            }
        )

    @classmethod
    def for_image(cls, measurements: Measurements, *, name: str = "image") -> Self:
        """A policy that expects exactly these predicted measurements.

        Args:
            measurements: platform to register to hex, as `troth measure --json` prints them. Where
                loaders measure the same image to different values, several may be allowed.
            name: for reports.

        Raises:
            Misuse: there are none.
        """
        if not measurements or not all(measurements.values()):
            raise Misuse("an image without measurements expects nothing")
        return cls(name=name, registers=_as_sets(measurements))

    def expecting(self, measurements: Measurements, *, name: str) -> Self:
        """This policy with measurements added to what it expects.

        Raises:
            Misuse: the policy already expects other values for one of these registers.
        """
        merged: dict[str, dict[str, frozenset[str]]] = {
            platform: dict(registers) for platform, registers in self.registers.items()
        }
        for platform, registers in _as_sets(measurements).items():
            mine = merged.setdefault(platform, {})
            for register, values in registers.items():
                if mine.setdefault(register, values) != values:
                    raise Misuse(
                        f"{self.name} and {name} expect different values of {register}",
                        fix="leave one of the two away",
                    )
        return replace(self, registers=merged, name=f"{self.name} + {name}")

    def asks(self, platform: str) -> Requirements:
        """What this platform must meet beside its registers."""
        return self.requirements.get(platform, DEFAULT)

    def canonical(self) -> bytes:
        """The policy's one encoding, which names it in reports.

        Where nothing is required beyond the defaults the encoding says nothing of it, so that a policy
        of troth's first version keeps its digest.
        """
        asked = {platform: wanted.stated() for platform, wanted in self.requirements.items()}
        return json.canonical(
            {
                "schema": SCHEMA,
                "name": self.name,
                "registers": {
                    platform: {name: sorted(values) for name, values in registers.items()}
                    for platform, registers in self.registers.items()
                },
                "max_age_s": None if self.max_age is None else int(self.max_age.total_seconds()),
                "roots_allow": sorted(self.roots_allow),
                "development_roots": sorted(self.development_roots),
                "require_key": self.require_key,
                "unreviewed": self.unreviewed,
                "expires": None if self.expires is None else self.expires.isoformat(),
            }
            | ({"requirements": asked} if asked else {})
            | ({"channel": self.channel} if self.channel is not Binding.SESSION else {})
            | ({"parts": dict(self.parts)} if self.parts else {})
            | self._released()
        )

    def _released(self) -> dict[str, Any]:
        if self.release is None:
            return {}
        # Signatures, which a policy without a log does not need.
        from troth.policy import release_toml

        return {"release": release_toml.stated(self.release)}


def _policy(values: dict[str, Any]) -> Policy:
    return Policy(**values)


def _as_sets(measurements: Measurements) -> dict[str, dict[str, frozenset[str]]]:
    return {
        platform: {name: _as_set(value) for name, value in registers.items()}
        for platform, registers in measurements.items()
    }


def _as_set(value: str | Collection[str]) -> frozenset[str]:
    return frozenset(item.lower() for item in ([value] if isinstance(value, str) else value))


def _counted(parts: Mapping[str, int]) -> Mapping[str, int]:
    """None of a platform is said by leaving it away."""
    for platform, count in parts.items():
        if platform not in names.REGISTERS:
            raise Misuse(f"{platform!r} is no platform; known are {', '.join(names.REGISTERS)}")
        if type(count) is not int or not 1 <= count <= MAX_PARTS:
            raise Misuse(f"parts.{platform} is a whole number from 1 to {MAX_PARTS}, not {count!r}")
    return MappingProxyType(dict(parts))


def _check_age(age: timedelta) -> None:
    """Zero would be read as «not stated», and a fraction is in no digest and no document."""
    if not timedelta(0) < age <= _LONGEST or age.microseconds:
        raise Misuse(f"a maximum age is whole seconds, at least one, at most a century, not {age}")


def _utc(expires: datetime) -> datetime:
    """One digest for one instant, in whatever zone it was given."""
    if expires.utcoffset() is None:
        raise Misuse("the policy's expiry has no time zone")
    try:
        return expires.astimezone(UTC)
    except OverflowError:
        raise Misuse("the policy's expiry lies outside the years 1 to 9999") from None


def _check_values(platform: str, register: str, values: frozenset[str]) -> None:
    """An empty set would expect nothing, and zero is what a debug enclave shows: neither is meant."""
    where = f"{platform}.{register}"
    if not _BARE.fullmatch(platform) or not _BARE.fullmatch(register):
        raise Misuse(f"{where!r} is no name of a register")
    sizes = names.sizes(platform, register)
    if not sizes:
        known = ", ".join(names.REGISTERS[platform])
        raise Misuse(f"{platform} has no register {register!r}; known are {known}")
    if not values:
        raise Misuse(f"{where} has no allowed value", fix=f"leave {where} away, or give one")
    for value in values:
        if len(value) not in {2 * size for size in sizes} or value.strip("0123456789abcdef"):
            wanted = " or ".join(map(str, sizes))
            raise Misuse(f"{where}: {value[:20]!r}… is not {wanted} bytes in hex")
        if not value.strip("0") and not names.may_be_zero(platform, register):
            raise Misuse(
                f"{where} is all zero, which is what a debug enclave shows",
                fix="measure the image with `troth measure`",
            )
