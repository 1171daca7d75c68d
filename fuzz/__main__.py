"""`python -m fuzz`: every target for its share of a budget, then a table.

Exits with 0 when nothing was found, 1 when something was, 2 when it was asked for nothing sensible.
"""

import argparse
import random
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from fuzz import native, own
from fuzz.store import FOLDER, Store
from fuzz.targets import NAMES, load


def _asked(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--executions", type=int, help="how many in all, divided evenly between the targets"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="how long in all, divided evenly; 300 if neither is given.\nThe budget that ends first ends a target",
    )
    parser.add_argument(
        "--target", action="append", choices=NAMES, help="only this one; may be repeated"
    )
    parser.add_argument(
        "--engine",
        choices=("atheris", "own"),
        help="libFuzzer by atheris, or troth's own mutator; the first where it is installed",
    )
    parser.add_argument(
        "--seed", type=int, help="where chance comes from; another each time if absent"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the corpora are: .fuzz")
    parser.add_argument("--list", action="store_true", help="the targets, and nothing else")
    asked = parser.parse_args(arguments)
    if asked.executions is None and asked.seconds is None:
        asked.seconds = 300.0
    if asked.seed is None:
        asked.seed = random.SystemRandom().randrange(1, 1 << 31)
    for budget in (asked.executions, asked.seconds, asked.seed):
        if budget is not None and budget < 1:
            parser.error("a budget or seed is at least 1")
    if asked.engine == "atheris" and not native.there():
        parser.error("atheris is not installed: requirements/fuzz.txt")
    if asked.engine is None:
        asked.engine = "atheris" if native.there() else "own"
        if asked.engine == "own":
            print(
                "note: atheris is not installed here (it has no wheel for every Python), so troth's own "
                "mutator is used; it sees no coverage",
                file=sys.stderr,
            )
    return asked


def _runs(asked: argparse.Namespace, names: list[str]) -> Iterator[tuple[str, Store, own.Run]]:
    executions = None if asked.executions is None else -(-asked.executions // len(names))
    seconds = None if asked.seconds is None else asked.seconds / len(names)
    for place, name in enumerate(names):
        store = Store.of(name, asked.folder)
        seed = asked.seed + place
        if asked.engine == "atheris":
            run = native.fuzz(name, store, executions=executions, seconds=seconds, seed=seed)
        else:
            run = own.fuzz(
                load(name),
                store,
                executions=executions,
                seconds=seconds,
                draw=random.Random(seed),
            )
        store.count(run.executions)
        yield name, store, run


def main(arguments: list[str] | None = None) -> int:
    """Runs what is asked for; what to exit with."""
    asked = _asked(arguments)
    names = list(asked.target or NAMES)
    if asked.list:
        print("\n".join(names))
        return 0
    print(f"engine {asked.engine}, seed {asked.seed}; corpora in {asked.folder}")
    print(f"{'target':18}{'executions':>14}{'a second':>12}{'in all runs':>16}")
    total = found = 0
    begin = last = time.monotonic()
    for name, store, run in _runs(asked, names):
        now = time.monotonic()
        rate = run.executions / max(now - last, 1e-3)
        last, total = now, total + run.executions
        end = "   FINDING" if run.error else ""
        print(
            f"{name:18}{run.executions:14,}{rate:12,.0f}{store.executions():16,}{end}", flush=True
        )
        if run.error:
            found += 1
            print("".join(traceback.format_exception(run.error)), file=sys.stderr)
            print(f"findings of {name}: {store.findings}", file=sys.stderr)
    rate = total / max(time.monotonic() - begin, 1e-3)
    everything = sum(Store(asked.folder / name).executions() for name in NAMES)
    print(f"{'all':18}{total:14,}{rate:12,.0f}{everything:16,}")
    print(f"{found} of {len(names)} targets have a new finding")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
