"""The engine that works everywhere: mutation, and the lines of a refusal instead of coverage."""

import random
import time
from dataclasses import dataclass

from fuzz.mutate import mutant
from fuzz.store import Store
from fuzz.target import Target, name_of, outcome

MOST_KEPT = 4000
ACCEPTED_KEPT = 64
_LOOK_AT_CLOCK = 64


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one target came to.

    Attributes:
        executions: how many inputs were tried.
        error: what came out that should not, with its traceback, or None.
    """

    executions: int
    error: Exception | None = None


def fuzz(
    target: Target,
    store: Store | None,
    *,
    executions: int | None = None,
    seconds: float | None = None,
    draw: random.Random,
) -> Run:
    """Runs a target on its seeds, its corpus and their mutants, until a budget or a finding.

    Args:
        target: what is run.
        store: where inputs are kept and taken up; None keeps nothing.
        executions: how many mutants at most; None is no limit.
        seconds: how long at most; None is no limit.
        draw: where chance comes from.
    """
    seeds = target.begin()
    # A corpus may be from another machine's simulator: what it was kept for is found again or not.
    pool = seeds + (store.kept(target.longest) if store else [])
    seen: dict[tuple[object, ...], int] = {}
    until = None if seconds is None else time.monotonic() + seconds
    done = 0
    waiting = list(reversed(pool))
    pool = pool or [b""]
    while waiting or executions is None or done < executions + len(seeds):
        if until is not None and done % _LOOK_AT_CLOCK == 0 and time.monotonic() > until:
            break
        first = bool(waiting)
        if first:
            data = waiting.pop()
        else:
            data = mutant(
                draw.choice(pool),
                draw,
                others=pool,
                words=target.words,
                longest=target.longest,
            )
        done += 1
        try:
            way = outcome(target, data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            if store:
                error.add_note(f"input: {store.find(data)}")
            else:
                error.add_note(f"input {name_of(data)}: {data.hex()}")
            return Run(done, error)
        seen[way] = count = seen.get(way, 0) + 1
        if not first and (count == 1 or (not way and count < ACCEPTED_KEPT)):
            if len(pool) < MOST_KEPT:
                pool.append(data)
            if store and count == 1:
                store.keep(data)
    return Run(done)
