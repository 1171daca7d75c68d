"""Of which bank must a TPM's registers be, and who must vouch for its key?"""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from troth.errors import Misuse
from troth.model.check import Check, failed, passed, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.policy import P211, P212

if TYPE_CHECKING:
    from troth.policy.requirements import Requirements

PLATFORM: Final = "tpm"
WORDS: Final = ("bank", "ak")
"""What a policy may name of a TPM in words."""

_BANKS: Final[Mapping[str, int]] = MappingProxyType(
    {"sha256": 0x000B, "sha384": 0x000C, "sha512": 0x000D}
)
_VOUCHERS: Final = ("azure", "google", "bound")


def check(name: str, values: Collection[object]) -> None:
    """Refuses what no TPM has, and what no policy can admit.

    Raises:
        Misuse: an unknown bank or voucher, or the bank of SHA-1.
    """
    known = tuple(_BANKS) if name == "bank" else _VOUCHERS
    for value in values:
        if name == "bank" and value == "sha1":
            raise Misuse("bank: no policy can admit sha1, which can be made to collide")
        if value not in known:
            raise Misuse(f"{name}: unknown {value!r:.40}; known are {', '.join(known)}")


def required(asked: "Requirements", platform: str) -> tuple[Code, ...]:
    """The questions that must be answered for acceptance."""
    if platform != PLATFORM:
        return ()
    return (P211,) if asked.ak is None else (P211, P212)


def checks(asked: "Requirements", claims: Claims, *, source: str) -> Iterator[Check]:
    """Every check of a TPM's bank and key; none for other platforms."""
    if claims.platform != PLATFORM:
        return
    names = {number: name for name, number in _BANKS.items()}
    bank = names.get(claims.numbers["bank"], "sha1")
    allowed = asked.bank or frozenset(_BANKS)
    make = passed if bank in allowed else failed
    expected = " or ".join(sorted(allowed))
    yield make(P211, "bank", presented=bank, expected=expected, source=source)
    if asked.ak is not None:
        yield _voucher(asked.ak, claims, source)


def _voucher(allowed: frozenset[str], claims: Claims, source: str) -> Check:
    """Who vouches for the key, as the chain to its root found it."""
    expected = " or ".join(sorted(allowed))
    if claims.tcb is None:
        why = "nothing vouches for the key"
        return undecided(P212, "ak", expected=expected, source=source, why=why)
    presented = ", ".join(finding.part for finding in claims.tcb.findings)
    make = passed if presented in allowed else failed
    return make(P212, "ak", presented=presented, expected=expected, source=source)
