"""Break troth in one place at a time; the tests must notice.

    mutants.py                     all of them (ten minutes on an idle machine); writes docs/reference/mutants.md
    mutants.py --sample 60         all removed checks, and a fixed sample of the rest (CI)
    mutants.py --only policy/      those whose name has this in it

Every removed check must be caught, and 95 in 100 of the others. A survivor needs a reason in
`scripts/mutants.toml`. Each mutant runs the tests that execute its line, the quickest first.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import coverage
from mutants_make import Mutant, broken, mutants
from mutants_page import page

REPOSITORY: Final = Path(__file__).parents[1]
SOURCE: Final = REPOSITORY / "src"
REASONS: Final = REPOSITORY / "scripts" / "mutants.toml"
PAGE: Final = REPOSITORY / "docs" / "reference" / "mutants.md"
# Where comparisons are flipped and refusals left out, and where steps are checks that can be removed.
FLIPPED: Final = ("wire", "crypto", "model", "platforms", "policy", "verifier")
CHECKS: Final = (
    "crypto/path.py",
    "crypto/signature.py",
    "platforms/nitro/chain.py",
    "policy/appraise.py",
    "verifier/",
)
LEFT_OUT: Final = ("platforms/nitro/collect.py",)  # asks a device that no test machine has
MARKERS: Final = "not network and not namespaces and not variation and not slow"
ENOUGH: Final = 0.95
PATIENCE: Final = 180.0  # seconds; a mutant that hangs is caught


@dataclass(frozen=True)
class Baseline:
    """What the unbroken suite does.

    Attributes:
        by_line: (module, line) to the tests that execute it.
        by_module: module to the tests that execute anything of it.
        took: test to its seconds.
    """

    by_line: dict[tuple[str, int], set[str]]
    by_module: dict[str, set[str]]
    took: dict[str, float]

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests for a mutant, the quickest first; for a line that imports run, the module's."""
        at = self.by_line.get((mutant.path, mutant.line)) or self.by_module.get(mutant.path, set())
        return sorted(at, key=lambda name: (self.took.get(name, 0.0), name))


def is_checks(path: str) -> bool:
    """Whether the steps of this module count as checks."""
    return path.removeprefix("troth/").startswith(CHECKS)


def everything() -> list[Mutant]:
    """All mutants of all modules, in a fixed order."""
    found: list[Mutant] = []
    for room in FLIPPED:
        for file in sorted((SOURCE / "troth" / room).rglob("*.py")):
            path = file.relative_to(SOURCE).as_posix()
            if not path.removeprefix("troth/").startswith(LEFT_OUT):
                found += mutants(path, file.read_text("utf-8"), checks=is_checks(path))
    return found


def _pytest(source: Path, *words: str, **variables: str) -> list[str]:
    os_path = os.pathsep.join((str(source), str(REPOSITORY / "scripts")))
    return [
        *("env", "CI=true", f"PYTHONPATH={os_path}", "PYTHONDONTWRITEBYTECODE=1"),
        *(f"{name}={value}" for name, value in variables.items()),
        *(sys.executable, *words),
    ]


def baseline(folder: Path, source: Path) -> Baseline:
    """Run the unbroken suite once under coverage, and learn which test executes which line.

    It runs over a copy of the source, as the mutants do: a test that fails there fails for all.
    """
    data, times = folder / "coverage", folder / "times.json"
    rooms = ",".join(f"{source}/troth/{room}/*" for room in FLIPPED)
    done = subprocess.run(
        _pytest(
            source,
            *("-m", "coverage", "run", f"--data-file={data}", f"--include={rooms}"),
            *("-m", "pytest", "-q", "-p", "mutants_plugin", "-p", "no:cacheprovider"),
            *("-m", MARKERS, "--ignore=tests/house", "tests"),
            TROTH_MUTANTS_TIMES=str(times),
        ),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        raise SystemExit("error: the unbroken suite fails; mend it first")
    measured = coverage.CoverageData(str(data))
    measured.read()
    by_line: dict[tuple[str, int], set[str]] = defaultdict(set)
    by_module: dict[str, set[str]] = defaultdict(set)
    for file in measured.measured_files():
        path = Path(file).relative_to(source).as_posix()
        for line, contexts in measured.contexts_by_lineno(file).items():
            named = {context for context in contexts if context}
            by_line[path, line] |= named
            by_module[path] |= named
    return Baseline(by_line, by_module, json.loads(times.read_text("utf-8")))


def caught(mutant: Mutant, base: Baseline, room: Path) -> bool:
    """Whether some test fails with this mutant in place."""
    tests = base.tests(mutant)
    if not tests:
        return False
    file = room / mutant.path
    whole = (SOURCE / mutant.path).read_text("utf-8")
    file.write_text(broken(whole, mutant, checks=is_checks(mutant.path)), encoding="utf-8")
    words = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", MARKERS, *tests)
    try:
        done = subprocess.run(
            _pytest(room, *words),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_text(whole, encoding="utf-8")
    return done.returncode != 0


def copies(folder: Path, jobs: int) -> list[Path]:
    """A copy of the source for each job."""
    rooms = [folder / f"source{job}" for job in range(jobs)]
    for room in rooms:
        shutil.copytree(SOURCE, room, ignore=shutil.ignore_patterns("__pycache__"))
    return rooms


def run(chosen: list[Mutant], base: Baseline, rooms: list[Path]) -> list[Mutant]:
    """The survivors."""
    free: SimpleQueue[Path] = SimpleQueue()
    for room in rooms:
        free.put(room)
    survivors = []

    def one(mutant: Mutant) -> tuple[Mutant, bool]:
        room = free.get()
        try:
            return mutant, caught(mutant, base, room)
        finally:
            free.put(room)

    with ThreadPoolExecutor(len(rooms)) as pool:
        for count, (mutant, noticed) in enumerate(pool.map(one, chosen), 1):
            if not noticed:
                survivors.append(mutant)
                print(f"survived: {mutant.name}  (line {mutant.line})", flush=True)
            if count % 50 == 0:
                print(f"{count} of {len(chosen)}, {len(survivors)} survived", flush=True)
    return survivors


def judge(
    chosen: list[Mutant], survivors: list[Mutant], reasons: dict[str, str], *, whole: bool
) -> list[str]:
    """What is not good enough, in words; a reason for each survivor is asked of the whole run alone."""
    wrong = [
        f"a removed check is not noticed: {m.name}"
        for m in survivors
        if m.kind == "removed" and m.name not in reasons
    ]
    if whole:
        wrong += [f"without a reason: {m.name}" for m in survivors if m.name not in reasons]
    others = [m for m in chosen if m.kind != "removed"]
    alive = sum(m.kind != "removed" for m in survivors)
    if others and alive / len(others) > 1 - ENOUGH:
        wrong.append(f"{alive} of {len(others)} others survive, more than {1 - ENOUGH:.0%}")
    return wrong


def main() -> int:
    """Break, run, tell."""
    parser = argparse.ArgumentParser(description="break troth in one place at a time")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sample", type=int, help="so many of the mutants that remove no check")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only mutants whose name has this in it")
    given = parser.parse_args()
    chosen = [mutant for mutant in everything() if given.only in mutant.name]
    if given.sample is not None:
        rest = [mutant for mutant in chosen if mutant.kind != "removed"]
        kept = random.Random(given.seed).sample(rest, min(given.sample, len(rest)))  # noqa: S311
        chosen = [m for m in chosen if m.kind == "removed" or m in kept]
    print(f"{len(chosen)} mutants: {dict(Counter(m.kind for m in chosen))}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rooms = copies(Path(folder), given.jobs)
        base = baseline(Path(folder), rooms[0])
        survivors = run(chosen, base, rooms)
        baseline(Path(folder), rooms[0])  # still whole: what was caught was caught by the mutant
    reasons: dict[str, str] = tomllib.loads(REASONS.read_text("utf-8"))
    whole = given.sample is None and not given.only
    wrong = judge(chosen, survivors, reasons, whole=whole)
    if whole:
        PAGE.write_text(page(chosen, survivors, reasons), encoding="utf-8")
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
