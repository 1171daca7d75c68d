"""Does the event log say what was expected, and may what it says stand for a register?"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from troth.errors import Misuse
from troth.model.check import Check, failed, passed, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.measurement import M303, M304

Events = Mapping[str, frozenset[str]]

SIZES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "app_id": 20,
        "compose_hash": 32,
        "instance_id": 20,
        "mr_kms": 32,
        "os_image_hash": 32,
        "rootfs_hash": 32,
    }
)
"""Events whose value is hex, with its size in bytes. Others are text, compared letter by letter."""

_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
_WORDS: Final = {"secure_boot": frozenset({"on", "off"})}
_LONGEST: Final = 4096


def checked(given: Mapping[str, Any]) -> Events:
    """Expected events by name, as a policy holds them.

    Raises:
        Misuse: a name that no event has, no value, or one that such an event cannot have.
    """
    found = {}
    for name, values in given.items():
        where = f"events.{name}"
        if not _NAME.fullmatch(name):
            raise Misuse(f"{where[:80]!r} is no name of an event")
        if isinstance(values, str) or not values:
            raise Misuse(
                f"{where} is a list of allowed values", fix=f"leave {name} away, or give one"
            )
        for value in values:
            _check(where, name, value)
        found[name] = frozenset(values)
    return MappingProxyType(found)


def required(asked: Events) -> tuple[Code, ...]:
    """The questions that must be answered for acceptance."""
    return (M304,) if asked else ()


def checks(asked: Events, claims: Claims, *, logged: bool, source: str) -> Iterator[Check]:
    """One check for each expected event.

    Args:
        asked: what is expected.
        claims: of the evidence, with what its log says.
        logged: whether there was an event log, good or bad.
        source: the policy's name.
    """
    for name, allowed in asked.items():
        subject, expected = f"events.{name}", " or ".join(sorted(allowed))
        presented = claims.events.get(name)
        if not logged:
            why = "no event log was given"
            yield undecided(M303, subject, expected=expected, source=source, why=why)
        elif presented is None:
            why = "nothing that the registers vouch for says so"
            yield failed(
                M304, subject, presented="absent", expected=expected, source=source, why=why
            )
        else:
            make = passed if presented in allowed else failed
            yield make(M304, subject, presented=presented, expected=expected, source=source)


def uncovered(asked: Events, claims: Claims, registers: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the registers for which no pinned events of a believed log stand."""
    return tuple(
        register
        for register in registers
        if not (names := claims.covers.get(register)) or not all(name in asked for name in names)
    )


def instead(asked: Events, claims: Claims, register: str) -> str:
    """What could be pinned instead of a register, in words; empty if nothing can."""
    left = [f"events.{name}" for name in claims.covers.get(register, ()) if name not in asked]
    return (
        f"or pin {', '.join(left)}: all that the log holds before the application" if left else ""
    )


def _check(where: str, name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise Misuse(f"{where} has a value that is no text of at most {_LONGEST} characters")
    size = SIZES.get(name)
    if size is not None and (len(value) != 2 * size or value.strip("0123456789abcdef")):
        raise Misuse(f"{where}: {value[:20]!r}… is not {size} bytes in lower-case hex")
    if value not in _WORDS.get(name, {value}):
        raise Misuse(f"{where} is on or off, not {value[:20]!r}")
