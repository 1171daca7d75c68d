"""Does a release in the app's log name what runs? Asked once all parts of the evidence are known.

Each part was judged before by what the policy pins itself. What then is open, one release must answer for all
parts together; without it nothing here says yes, and the question stays a required one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from weakref import WeakKeyDictionary

from troth.errors import Malformed
from troth.model.check import Check, failed, passed, undecided
from troth.model.codes.policy import P107
from troth.model.codes.released import M502, M503
from troth.model.collateral import Collateral, Item, Kind
from troth.model.collateral import name as item_name
from troth.model.report import Report
from troth.policy import Policy, appraise, release
from troth.tlog import checkpoint, governance, note, snapshot
from troth.tlog.governance import Reading
from troth.tlog.note import VerifierKey
from troth.tlog.snapshot import Opened
from troth.tlog.terms import Terms

MOST_LOGS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What came of the logs at hand: a check, and where it passed the newest, read for the app."""

    check: Check
    reading: Reading | None = None
    items: tuple[str, ...] = ()


# Signatures are checked once for each collateral, under no clock.
_known: "WeakKeyDictionary[Collateral, dict[Terms, _Found]]" = WeakKeyDictionary()


def settled(
    reports: Sequence[Report], *, policy: Policy, collateral: Collateral, at: datetime
) -> list[Report]:
    """The reports with what the log says to them; as they are where the policy asks for no release.

    Args:
        reports: of all parts, the leading one first.
        policy: one for all.
        collateral: with the log.
        at: the instant of judgement.
    """
    terms, parts = policy.release, list(reports)
    if terms is None or all(part.presented is None for part in parts):
        return parts
    found = _read(collateral, terms)
    checks = [found.check, *_leads(policy, parts)]
    state, chosen = None, None
    if found.reading is not None:
        state = governance.state(found.reading, at)
        checks += release.current(policy, state, at)
        claims = [part.presented for part in parts if part.presented is not None]
        check, chosen = release.choose(policy, state, claims)
        checks.append(check)
        state = replace(state, chosen=chosen)
    if chosen is not None and state is not None:
        for place, part in enumerate(parts):
            said = part.presented
            if said is None:
                continue
            named = said.platform in chosen.measurements
            more = (
                release.registers(policy, state, chosen, said)
                if named
                else appraise.unpinned(policy, said)
            )
            also = () if place == 0 else (check,)
            parts[place] = replace(part, checks=(*part.checks, *also, *more))
    lead = parts[0]
    parts[0] = replace(
        lead,
        checks=(*lead.checks, *checks),
        required=(*lead.required, *release.REQUIRED),
        collateral=(*lead.collateral, *found.items),
        governed=state,
    )
    return parts


def _leads(policy: Policy, parts: Sequence[Report]) -> Iterator[Check]:
    """A part cannot stand in the place of the machine, though a release may name both."""
    lead = parts[0]
    if len(parts) > 1 and lead.platform in policy.parts:
        expected = f"a machine, with {lead.platform} beside it"
        yield failed(P107, "lead", presented=lead.platform, expected=expected, source=policy.name)


def _read(collateral: Collateral, terms: Terms) -> _Found:
    known = _known.setdefault(collateral, {})
    if terms not in known:
        known[terms] = _found(collateral, terms)
    return known[terms]


def _found(collateral: Collateral, terms: Terms) -> _Found:
    log = terms.log.name
    given = {item.data: item for item in collateral.of(Kind.RELEASE_LOG)}
    if len(given) > MOST_LOGS:
        return _Found(check=failed(M503, log, why=f"more than {MOST_LOGS} logs were given"))
    items: list[Item] = []
    logs: list[Opened] = []
    try:
        for item in given.values():
            origin = _origin(item.data)
            if origin == log:
                items.append(item)
                logs.append(
                    snapshot.opened(item.data, log=terms.log, witnesses=terms.witnesses, field=log)
                )
        if not logs:
            why = f"{len(given)} other logs were given" if given else "no log was given"
            return _Found(check=undecided(M502, log, presented="none", expected=log, why=why))
        whole = _together(logs)
        reading = governance.read(whole, terms)
    except Malformed as error:
        return _Found(check=failed(M503, log, why=str(error)))
    newest = whole.newest.checkpoint
    said = f"{newest.size} entries, root {newest.root.hex()}"
    return _Found(
        check=passed(M503, log, presented=said),
        reading=reading,
        items=tuple(item_name(item) for item in items),
    )


def _origin(data: bytes) -> str:
    return checkpoint.parse(note.parse(snapshot.unpack(data).checkpoint).text).origin


def _together(logs: Sequence[Opened]) -> Opened:
    """The newest of several states of one log, with the times that witnesses gave to any of them.

    Raises:
        Forked: one is not the beginning of another.
    """
    largest = max(logs, key=lambda one: one.newest.checkpoint.size)
    size = largest.newest.checkpoint.size
    every = [signed for one in logs for signed in (one.newest, *one.older)]
    roots = snapshot.roots_at(largest.entries, {s.checkpoint.size for s in every})
    for signed in every:
        if roots[signed.checkpoint.size] != signed.checkpoint.root:
            raise snapshot.Forked(
                f"it signed two logs that contradict each other, of {signed.checkpoint.size} and of "
                f"{size} entries",
                field=signed.checkpoint.origin,
            )
    times: dict[VerifierKey, list[datetime]] = {}
    for signed in every:
        if signed.checkpoint.size == size:
            for witness, seen in signed.times.items():
                times.setdefault(witness, []).extend(seen)
    older = sorted((s for s in every if s.checkpoint.size < size), key=lambda s: s.checkpoint.size)
    newest = replace(largest.newest, times={w: tuple(sorted(t)) for w, t in times.items()})
    return replace(largest, newest=newest, older=tuple(older))
