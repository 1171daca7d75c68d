"""Does a token say, in words, what was expected? Models, versions, audiences, issuers, statuses."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from troth.errors import Misuse
from troth.model.check import Check, failed, passed, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.policy import P207
from troth.policy import names

Says = Mapping[str, frozenset[str]]

DEFAULTS: Final[Mapping[str, Says]] = MappingProxyType(
    {
        "maa": {
            "compliance_status": frozenset({"azure-compliant-cvm", "azure-compliant-uvm"}),
            "attester_tcb_status": frozenset({"UpToDate"}),
            "migration_allowed": frozenset({"false"}),
            "vmpl": frozenset({"0"}),
            "septve_disable": frozenset({"true"}),
            "migratable": frozenset({"false"}),
        },
        "gcs": {
            "swname": frozenset({"CONFIDENTIAL_SPACE"}),
            "secboot": frozenset({"true"}),
            "support_attributes": frozenset({"STABLE"}),
        },
        "ita": {
            "attester_tcb_status": frozenset({"UpToDate"}),
            "septve_disable": frozenset({"true"}),
            "migratable": frozenset({"false"}),
        },
        "nras": {"measres": frozenset({"success"}), "secboot": frozenset({"true"})},
    }
)
"""What counts where a policy says nothing of it, of what a token of the kind says."""

# Who may have a tenant of Azure's writes the rules of its tokens; a token for another audience was
# given to somebody else; of Google's machines some have no memory integrity. So each has to be said.
_MUST: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "maa": ("issuer",),
        "gcs": ("audience", "hwmodel"),
        "ita": (),
        "nras": (),
    }
)
# What must be listed where a token says it: versions that name what runs, and what is wrong.
_GPU: Final = ("driver_version", "vbios_version")
_SWITCH: Final = ("switch_bios_version",)
_IF_SAID: Final = (*_GPU, *_SWITCH, "advisories", "warnings")
_COUNTED: Final = ("gpus", "switches")
# Lists of which one value is enough; of all others every value must count.
_ONE_ENOUGH: Final = frozenset(
    {"audience", "support_attributes", "policies_matched", "service_accounts"}
)
_MAX_TEXT: Final = 4096


def checked(given: Mapping[str, Any]) -> Says:
    """Expected words by name, as a policy holds them.

    Raises:
        Misuse: no value, or one that is no text.
    """
    found = {}
    for name, values in given.items():
        if isinstance(values, str) or not values:
            raise Misuse(
                f"says.{name} is a list of allowed values", fix=f"leave {name} away, or give one"
            )
        for value in values:
            if not isinstance(value, str) or not value or len(value) > _MAX_TEXT:
                raise Misuse(f"says.{name} has a value that is no text")
        found[name] = frozenset(values)
    return MappingProxyType(found)


def check_names(platform: str, asked: Says) -> None:
    """That a token of this kind can say these.

    Raises:
        Misuse: it has no such word.
    """
    known = names.TEXTS.get(platform, frozenset())
    for name in asked:
        if name not in known:
            raise Misuse(
                f"{platform}.says has no {name!r:.60}; known are {', '.join(sorted(known))}"
            )


def required(platform: str) -> tuple[Code, ...]:
    """The questions that must be answered for acceptance."""
    return (P207,) if platform in _MUST else ()


def checks(
    asked: Says, exact: Mapping[str, int], claims: Claims, *, source: str
) -> Iterator[Check]:
    """One check for each word that is expected, must be, or should not be there unasked.

    Args:
        asked: what the policy expects.
        exact: the numbers that it expects; of several devices, their number must be.
        claims: of the token.
        source: the policy's name.
    """
    platform = claims.platform
    if platform not in _MUST:
        return
    for name, allowed in asked.items():
        yield _check(name, claims.texts.get(name, ()), allowed, source)
    for name, allowed in DEFAULTS[platform].items():
        if name not in asked and name in claims.texts:
            yield _check(name, claims.texts[name], allowed, "troth's defaults")
    for name in (*_MUST[platform], *(n for n in _IF_SAID if n in claims.texts)):
        if name not in asked:
            presented = ", ".join(claims.texts.get(name, ()))
            why = "the policy does not say which it takes"
            yield undecided(P207, name, presented=presented[:400], source=source, why=why)
    for name in _COUNTED:
        if name in claims.numbers and name not in exact:
            presented = str(claims.numbers[name])
            why = f"the policy does not say how many {name} there must be (exact.{name})"
            yield undecided(P207, name, presented=presented, source=source, why=why)


def needed(claims: Claims) -> tuple[dict[str, frozenset[str]], dict[str, int]]:
    """What a policy that is pinned from this token has to list: words, and numbers."""
    if claims.platform not in _MUST:
        return {}, {}
    which = (*_MUST[claims.platform], *_IF_SAID)
    words = {name: frozenset(claims.texts[name]) for name in which if claims.texts.get(name)}
    return words, {name: n for name, n in claims.numbers.items() if name in _COUNTED}


def identify(asked: Says, platform: str) -> bool:
    """Whether words alone say what runs: the versions that NVIDIA's service compared with its values."""
    return platform == "nras" and any(
        all(name in asked for name in kind) for kind in (_GPU, _SWITCH)
    )


def _check(name: str, presented: tuple[str, ...], allowed: frozenset[str], source: str) -> Check:
    some = any(value in allowed for value in presented)
    every = all(value in allowed for value in presented)
    make = passed if some and (every or name in _ONE_ENOUGH) else failed
    return make(
        P207,
        name,
        presented=(", ".join(presented) or "absent")[:400],
        expected=" or ".join(sorted(allowed))[:400],
        source=source,
    )
