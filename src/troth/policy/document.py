"""The policy: what a relying party requires, as a value."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Self

from troth.errors import Misuse
from troth.model.roots import RootClass
from troth.wire import json

DEFAULT_MAX_AGE: Final = timedelta(minutes=5)
SCHEMA: Final = "troth/policy/1"

Registers = Mapping[str, Mapping[str, frozenset[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Requirements on evidence. Says nothing of nonce and key: those belong to one question.

    Attributes:
        name: for reports.
        registers: platform to register to its allowed values in lower-case hex. A register that
            identifies code and is not here leaves the verdict undecided.
        max_age: how old evidence may be at the instant. None is five minutes, and a matching nonce
            alone is then fresh enough; a stated age holds with a nonce, too.
        roots_allow: classes of root that count. A root that is not a vendor's counts only if, beside
            this, the caller passed it or `development_roots` names it.
        development_roots: SHA-256 digests of development roots that this policy admits by name.
        require_key: whether evidence counts only for a key that the caller gives.
        unreviewed: written by `policy pin`, and not yet read by a person.
        expires: instant past which the policy leaves every verdict undecided.
        sha256: digest of the canonical form; made, never given.
    """

    name: str
    registers: Registers = field(default_factory=dict)
    max_age: timedelta | None = None
    roots_allow: frozenset[RootClass] = frozenset(RootClass)
    development_roots: frozenset[str] = frozenset()
    require_key: bool = False
    unreviewed: bool = False
    expires: datetime | None = None
    sha256: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for platform, registers in self.registers.items():
            for register, values in registers.items():
                _check_values(platform, register, values)
        frozen = {p: MappingProxyType(dict(r)) for p, r in self.registers.items()}
        object.__setattr__(self, "registers", MappingProxyType(frozen))
        object.__setattr__(self, "sha256", hashlib.sha256(self.canonical()).hexdigest())

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> Self:
        """Reads a policy document; see `troth.policy.toml`."""
        from troth.policy import toml

        return cls(**toml.read(text, source=source))

    def to_toml(self) -> str:
        """The policy as a document that `from_toml` reads back to an equal value."""
        from troth.policy import toml

        return toml.write(self)

    @classmethod
    def for_image(
        cls, measurements: Mapping[str, Mapping[str, str]], *, name: str = "image"
    ) -> Self:
        """A policy that expects exactly these predicted measurements.

        Args:
            measurements: platform to register to hex, as `troth.measure` gives.
            name: for reports.

        Raises:
            Misuse: there are none.
        """
        if not measurements or not all(measurements.values()):
            raise Misuse("an image without measurements expects nothing")
        return cls(name=name, registers=_as_sets(measurements))

    def expecting(self, measurements: Mapping[str, Mapping[str, str]], *, name: str) -> Self:
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

    def canonical(self) -> bytes:
        """The policy's one encoding, which names it in reports."""
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
        )


def _as_sets(measurements: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, frozenset[str]]]:
    return {
        platform: {name: frozenset({value.lower()}) for name, value in registers.items()}
        for platform, registers in measurements.items()
    }


def _check_values(platform: str, register: str, values: frozenset[str]) -> None:
    """An empty set would expect nothing, and zero is what a debug enclave shows: neither is meant."""
    where = f"{platform}.{register}"
    if not values:
        raise Misuse(f"{where} has no allowed value", fix=f"leave {where} away, or give one")
    for value in values:
        if len(value) not in (64, 96, 128) or value.strip("0123456789abcdef"):
            raise Misuse(f"{where}: {value[:20]!r}… is no digest of 32, 48 or 64 bytes in hex")
        if not value.strip("0"):
            raise Misuse(
                f"{where} is all zero, which is what a debug enclave shows",
                fix="measure the image with `troth measure`",
            )
