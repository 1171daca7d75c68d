"""What a platform folder gives to the verifier: one frozen value, one line in the registry."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from troth.model.check import Check
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.collateral import Collateral
from troth.model.roots import Root, RootClass
from troth.model.tcb import Tcb


@dataclass(frozen=True, slots=True, kw_only=True)
class Genuineness:
    """What `chain.py` found.

    Attributes:
        checks: one for each step, also for those that could not be taken.
        root_class: class of the root at which the chain ends, None where it ends at none.
        tcb: what the vendor's levels say of the platform, None where nothing was looked up.
        collateral: names of the endorsements that were used.
        notes: what a reader should know that is no check, such as the next evaluation number's answer.
    """

    checks: tuple[Check, ...]
    root_class: RootClass | None
    tcb: Tcb | None = None
    collateral: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of an event log.

    Attributes:
        checks: whether it replays to the registers, and whether it contradicts itself.
        events: for `Claims.events`; empty unless the log is to be believed.
        covers: for `Claims.covers`.
    """

    checks: tuple[Check, ...]
    events: Mapping[str, str] = field(default_factory=dict)
    covers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A kind of evidence.

    Attributes:
        name: in policies and on the command line.
        title: for people.
        unwrap: removes foreign framing (base64 text, a carrier's header): data to (bytes, words for
            what was removed), or None if this is not the platform's evidence at all.
        parse: bytes to the platform's frozen document; raises `Malformed`.
        genuine: (document, roots, collateral, instant) to the checks of genuineness.
        claims: (document, what the levels say of the platform or None) to claims.
        roots: the built-in vendor roots.
        required: genuineness questions that must be answered for acceptance.
        has_no: questions that this platform has no answer to (Nitro: revocation), said in reports.
        log_in: the event log in the framing around evidence that `unwrap` takes, or None.
        replay: (claims, event log, registers whose value the policy pins) to what came of the log;
            None where the platform has no register that is extended. Never raises on a bad log.
        among: (name to document, of all parts of this platform) to checks on how they hang together;
            None where they say nothing of each other.
    """

    name: str
    title: str
    unwrap: Callable[[bytes], tuple[bytes, str] | None]
    parse: Callable[[bytes], Any]
    genuine: Callable[[Any, Sequence[Root], Collateral, datetime], Genuineness]
    claims: Callable[[Any, Tcb | None], Claims]
    roots: Callable[[], tuple[Root, ...]]
    required: tuple[Code, ...]
    has_no: tuple[str, ...]
    fields: Callable[[bytes], Iterable[tuple[str, str]]]
    log_in: Callable[[bytes], bytes | None] | None = None
    replay: Callable[[Claims, bytes, Collection[str]], Replayed] | None = None
    among: Callable[[Mapping[str, Any]], tuple[Check, ...]] | None = None
