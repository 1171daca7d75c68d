"""Evidence in several parts: a machine's report, its GPUs, its vTPM, a token. Values, nothing believed.

A reader takes a container apart and says, of each part, by what it hangs together with the others;
`troth.verifier.composite` asks whether that holds. One part leads: it is the machine whose claims the
verdict is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from troth.errors import Misuse
from troth.model.channel import Binding

MAX_PARTS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece of evidence, and what must be so of it for it to belong to the others.

    Attributes:
        name: for reports and for the other parts: `cpu`, `gpu-0`, `switch-1`, `vtpm`, `token`.
        evidence: the bytes that a platform reads.
        says: one clause for people on what binds this part, such as `REPORT_DATA names the AK`.
        platform: the platform that it must be of, such as `tdx`: its field in the container is for that
            alone. Empty where the container does not say.
        nonce: the nonce that it must carry, where that follows from the caller's; None where nothing
            is asked of the field.
        user_data: the 64 bytes (or what the platform has) that the guest must have had bound, computed
            from what lies beside it; None where nothing is.
        over_nonce: whether `user_data` was computed over a nonce that the caller drew.
        fresh_by: the part whose freshness is this one's, because it is signed by a key that this part
            names; empty where the part must be fresh itself.
        key: SHA-256 of the SubjectPublicKeyInfo (DER) that must have signed this part, or empty.
        key_in: the part that vouches for that key; with `key`, its root's class becomes this part's.
        event_log: what the guest logged, or None.
    """

    name: str
    evidence: bytes
    says: str
    platform: str = ""
    nonce: bytes | None = None
    user_data: bytes | None = None
    over_nonce: bool = False
    fresh_by: str = ""
    key: str = ""
    key_in: str = ""
    event_log: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """Parts that were presented together; the first leads.

    Attributes:
        parts: the lead first, at most 64; names are unique.
        framing: what they were taken out of, in words.
        logged: the part to which an event log belongs that the caller gives beside it; the lead if empty.
        nonce: what was asked with, where nonces and hashes of parts follow from it: to a caller who has
            drawn another, or none, they show nothing of freshness. Empty where it was asked with none;
            None where that is not known.
        channel: how firmly the way on which these parts came is tied to them; None where there was none,
            such as for a file. It is asked for even where a caller does not name it.

    Raises:
        Misuse: none, too many, a name twice, or a part that leans on one that is not there or on
            itself.
    """

    parts: tuple[Part, ...]
    framing: str = ""
    logged: str = ""
    nonce: bytes | None = None
    channel: Binding | None = None

    def __post_init__(self) -> None:
        named = {part.name: part for part in self.parts}
        if not 1 <= len(self.parts) <= MAX_PARTS or len(named) != len(self.parts):
            raise Misuse(f"a composite has 1 to {MAX_PARTS} parts, each with a name of its own")
        if self.logged and self.logged not in named:
            raise Misuse(f"an event log of {self.logged!r}, which is no part")
        for part in self.parts:
            _can_hang_together(part, named)

    @property
    def lead(self) -> Part:
        """The machine that the verdict is about."""
        return self.parts[0]


def _can_hang_together(part: Part, named: Mapping[str, Part]) -> None:
    """Raises `Misuse` where a part leans on nothing, on itself, or on what cannot carry it."""
    for other in filter(None, (part.fresh_by, part.key_in)):
        if other not in named or other == part.name:
            raise Misuse(f"{part.name} leans on {other!r}, which is no other part")
    if bool(part.key) != bool(part.key_in):
        raise Misuse(f"{part.name} names a key or who vouches for it, and not both")
    if part.key_in and named[part.key_in].user_data is None:
        raise Misuse(f"{part.key_in} binds nothing, and cannot vouch for a key of {part.name}")
    # Freshness comes through a signature by the key that this part names, and in no other way.
    if part.fresh_by and named[part.fresh_by].key_in != part.name:
        raise Misuse(f"{part.name} names no key of {part.fresh_by}, to be as fresh as it")
    chain = [part.name]
    while (voucher := named[chain[-1]].key_in) and len(chain) <= len(named):
        chain.append(voucher)
    if len(chain) > len(named):
        raise Misuse(f"{part.name} vouches for itself through others")
    if part.over_nonce and part.user_data is None:
        raise Misuse(f"{part.name} binds a nonce in no field")
