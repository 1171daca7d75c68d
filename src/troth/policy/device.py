"""Which versions and modes of an NVIDIA device count, and may a certificate be on hold?"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from troth.errors import Misuse
from troth.model.check import Check, failed, passed, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.fresh import R205
from troth.model.codes.policy import P301

if TYPE_CHECKING:
    from troth.policy.requirements import Requirements

PLATFORM: Final = "nvidia"
WORDS: Final = ("driver_version", "vbios_version", "arch", "mode")
"""What such a device says of itself in words, and a policy may name."""

_OF_GPUS: Final = frozenset({"driver_version", "mode"})
_SWITCHES: Final = frozenset({"ls10"})
_ON_HOLD: Final = "certificateHold"
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "driver_version": re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){1,4}"),
    "vbios_version": re.compile(r"[0-9A-F]{2}(?:\.[0-9A-F]{2}){4}"),
    "arch": re.compile(r"hopper|blackwell|ls10"),
    "mode": re.compile(r"spt|mpt|ppcie"),
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "driver_version": "'580.159.03'",
    "vbios_version": "'96.00.9F.00.01'",
    "arch": "'hopper', 'blackwell' or 'ls10'",
    "mode": "'spt', 'mpt' or 'ppcie'",
}


def check(name: str, values: Collection[object]) -> None:
    """Refuses what no device says.

    Raises:
        Misuse: a value of another form.
    """
    for value in values:
        if not isinstance(value, str) or not _FORMS[name].fullmatch(value):
            raise Misuse(f"{name} should be like {_EXAMPLES[name]}, not {value!r:.40}")


def stated(asked: "Requirements") -> dict[str, frozenset[str]]:
    """The words that a policy names, with the values that it admits."""
    found = {name: getattr(asked, name) for name in WORDS}
    return {name: values for name, values in found.items() if values is not None}


def names_image(asked: "Requirements") -> bool:
    """Whether versions are named that can stand for measurements."""
    return asked.driver_version is not None or asked.vbios_version is not None


def required(asked: "Requirements", platform: str) -> tuple[Code, ...]:
    """The questions that must be answered for acceptance."""
    if platform != PLATFORM:
        return ()
    return (R205, P301) if stated(asked) else (R205,)


def checks(asked: "Requirements", claims: Claims, *, source: str) -> Iterator[Check]:
    """Every check of a device's versions, modes and holds; none for other platforms."""
    if claims.platform != PLATFORM:
        return
    # One section is for a machine's GPUs and switches, and a switch has neither driver nor mode.
    switch = _SWITCHES.issuperset(claims.texts.get("arch", ("",)))
    for name, allowed in stated(asked).items():
        if switch and name in _OF_GPUS:
            continue
        said = claims.texts.get(name, ())
        make = passed if said and allowed.issuperset(said) else failed
        yield make(
            P301,
            name,
            presented=", ".join(said) or "not said",
            expected=" or ".join(sorted(allowed)),
            source=source,
        )
    yield _hold(asked, claims, source)


def _hold(asked: "Requirements", claims: Claims, source: str) -> Check:
    if claims.tcb is None:
        return undecided(R205, "certificates", source=source, why="nobody looked them up")
    held = ", ".join(f.part for f in claims.tcb.findings if f.status == _ON_HOLD)
    if not held and claims.tcb.status != _ON_HOLD:
        return passed(R205, "certificates", presented="none is on hold", source=source)
    make = passed if asked.hold == "allowed" else failed
    expected = "a hold is allowed" if asked.hold == "allowed" else "none on hold"
    return make(
        R205, "certificates", presented=f"on hold: {held}", expected=expected, source=source
    )


def instead(asked: "Requirements", claims: Claims, register: str) -> str:
    """What could be named instead of a register, in words; empty if nothing can."""
    known = stated(asked)
    left = [name for name in claims.covers.get(register, ()) if name not in known]
    return f"or name {' and '.join(left)}" if left else ""
