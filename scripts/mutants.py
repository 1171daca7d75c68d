"""Break troth in one place at a time; the tests must notice.

    mutants.py                     all of them (most of an hour on two idle cores); writes the page
    mutants.py --sample 60         all removed checks, and a fixed sample of the rest
    mutants.py --sample 60 --removed 300   a fixed sample of either (CI)
    mutants.py --only policy/      those whose name has this in it
    mutants.py --keep FILE         go on where a run that was ended had been

Every removed check must be caught, and 95 in 100 of the others. A survivor needs a reason in
`scripts/mutants.toml`. Each mutant runs the tests that execute its line, up to the first that fails: those
of its own room first, and of these the quickest. At the end each test that noticed one must pass without.
"""

import argparse
import compileall
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue
from typing import Final

import coverage
from mutants_kept import Caught, Kept
from mutants_make import Mutant, broken, mutants
from mutants_page import page

REPOSITORY: Final = Path(__file__).parents[1]
SOURCE: Final = REPOSITORY / "src"
SERVER: Final = REPOSITORY / "scripts" / "mutants_server.py"
REASONS: Final = REPOSITORY / "scripts" / "mutants.toml"
PAGE: Final = REPOSITORY / "docs" / "reference" / "mutants.md"
# Where comparisons are flipped and refusals left out, and where steps are checks that can be removed.
# The tests beside them are those that must notice.
FLIPPED: Final = ("wire", "crypto", "model", "platforms", "policy", "tlog", "verifier")
BESIDE: Final = (*FLIPPED, "attacks")
CHECKS: Final = (
    *("crypto/issued.py", "crypto/signature.py"),
    *("platforms/_review.py", "platforms/nitro/chain.py"),
    *(
        f"platforms/dcap/{name}.py"
        for name in ("chain", "documents", "endorsed", "revocation", "who")
    ),
    *(f"platforms/snp/{name}.py" for name in ("authorities", "chain", "fits", "revocation")),
    *(
        f"platforms/nvidia/{name}.py"
        for name in (
            "chain",
            "device",
            "endorsed",
            "golden",
            "ocsp",
            "revocation",
            "rim",
            "topology",
        )
    ),
    *("platforms/tdx/eventlog.py", "platforms/tdx/log.py", "platforms/_tcg.py"),
    *(f"platforms/tpm/{name}.py" for name in ("authorities", "certified", "chain", "log")),
    *("crypto/quoted.py", "policy/vtpm.py"),
    *("crypto/merkle.py", "tlog/note.py", "tlog/proof.py"),
    *(f"platforms/tokens/{name}.py" for name in ("anchor", "chain", "jwks", "result")),
    *(
        f"policy/{name}.py"
        for name in (
            "appraise",
            "device",
            "events",
            "guest",
            "machines",
            "requirements",
            "says",
            "tcb",
        )
    ),
    "verifier/",
)
LEFT_OUT: Final = (
    # They ask devices that no test machine has; their tests need namespaces.
    *(f"platforms/{name}/collect.py" for name in ("nitro", "sgx", "snp", "tdx")),
    *("platforms/_guest.py", "platforms/_tsm.py", "platforms/tdx/qgs.py"),
    # They make what others read; what they get wrong is refused.
    *("platforms/dcap/simulate", "platforms/snp/simulate", "platforms/tokens/simulate"),
    *("platforms/tpm/simulate", "platforms/tpm/collect.py", "platforms/nitrotpm/simulate"),
    "platforms/nvidia/simulate",
)
MARKERS: Final = "not network and not namespaces and not variation and not toolchains and not slow"
OPTIONS: Final = ("-q", "-p", "mutants_plugin", "-p", "no:cacheprovider", "-m", MARKERS)
ENOUGH: Final = 0.95
FIRST: Final = 25  # tests that are tried before the rest: most mutants are caught by them
PATIENCE: Final = 45.0  # seconds, and more where tests take long; a mutant that hangs is caught


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
        """The tests for a mutant, its own room's first; for a line that imports run, the module's.

        A test that happens to be the first to import a module executes that line, and asks nothing of it.
        """
        module = self.by_module.get(mutant.path, set())
        imported = mutant.name.startswith(f"{mutant.path}:module: ")
        at = module if imported else self.by_line.get((mutant.path, mutant.line)) or module
        room = mutant.path.replace("troth/", "tests/", 1).rpartition("/")[0] + "/"
        return sorted(at, key=lambda n: (not n.startswith(room), self.took.get(n, 0.0), n))


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


def forgotten(made: list[Mutant], reasons: dict[str, str]) -> list[str]:
    """What stands for nothing any more: a module that was renamed would not be looked at, unseen."""
    names = {mutant.name for mutant in made}
    removed = {m.path.removeprefix("troth/") for m in made if m.kind == "removed"}
    there = {file.relative_to(SOURCE / "troth").as_posix() for file in SOURCE.rglob("*.py")}
    return [
        *(f"no mutant has the name {name}" for name in reasons if name not in names),
        *(f"no check is removed in {word}" for word in CHECKS if not _begin(removed, word)),
        *(f"no module is {word}" for word in LEFT_OUT if not _begin(there, word)),
    ]


def _begin(paths: set[str], word: str) -> bool:
    return any(path.startswith(word) for path in paths)


def drawn(mutants: list[Mutant], many: int, seed: int) -> frozenset[str]:
    """So many of them, by their names: a change elsewhere in the code draws hardly any others."""
    by_lot = sorted(m.name for m in mutants)
    by_lot.sort(key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    return frozenset(by_lot[:many])


def _pytest(source: Path, *words: str, **variables: str) -> list[str]:
    os_path = os.pathsep.join((str(source), str(REPOSITORY / "scripts")))
    return [
        *("env", "CI=true", f"PYTHONPATH={os_path}", "PYTHONDONTWRITEBYTECODE=1"),
        *(f"{name}={value}" for name, value in variables.items()),
        *(sys.executable, *words),
    ]


def baseline(sources: list[Path]) -> Baseline:
    """Run the unbroken suite once under coverage, and learn which test executes which line.

    It runs over copies of the source, as the mutants do: a test that fails there fails for all.
    """
    files = sorted(
        file.relative_to(REPOSITORY).as_posix()
        for room in BESIDE
        for file in (REPOSITORY / "tests" / room).rglob("test_*.py")
    )
    parts = [files[start :: len(sources)] for start in range(len(sources))]
    with ThreadPoolExecutor(len(sources)) as pool:
        found = list(pool.map(_measured, sources, parts))
    by_line: dict[tuple[str, int], set[str]] = defaultdict(set)
    by_module: dict[str, set[str]] = defaultdict(set)
    took: dict[str, float] = {}
    for source, (data, times) in zip(sources, found, strict=True):
        took |= times
        for file in data.measured_files():
            path = Path(file).relative_to(source).as_posix()
            for line, contexts in data.contexts_by_lineno(file).items():
                named = {context for context in contexts if context}
                by_line[path, line] |= named
                by_module[path] |= named
    return Baseline(by_line, by_module, took)


def _measured(source: Path, tests: list[str]) -> tuple[coverage.CoverageData, dict[str, float]]:
    data, out = source.with_suffix(".coverage"), source.with_suffix(".json")
    rooms = ",".join(f"{source}/troth/{room}/*" for room in FLIPPED)
    words = ("-m", "coverage", "run", f"--data-file={data}", f"--include={rooms}", "-m", "pytest")
    # Compiled tests are kept, so that each run of a mutant need not compile them again.
    _must_pass(source, words, tests, out, PYTHONDONTWRITEBYTECODE="")
    measured = coverage.CoverageData(str(data))
    measured.read()
    return measured, json.loads(out.read_text("utf-8"))["took"]


def control(sources: list[Path], tests: set[str]) -> None:
    """Without a mutant the tests that noticed one pass: what was caught was caught by the mutant."""
    named = sorted(tests)
    parts = [named[start :: len(sources)] for start in range(len(sources))]
    with ThreadPoolExecutor(len(sources)) as pool:
        outs = [source.with_suffix(".json") for source in sources]
        list(pool.map(_must_pass, sources, [("-m", "pytest")] * len(sources), parts, outs))


def _must_pass(
    source: Path, words: tuple[str, ...], tests: list[str], out: Path, **variables: str
) -> None:
    if not tests:
        return
    done = subprocess.run(
        _pytest(source, *words, *OPTIONS, *tests, TROTH_MUTANTS_OUT=str(out), **variables),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        raise SystemExit("error: the unbroken suite fails; mend it first")


class Room:
    """A copy of the source, and a server that runs tests over it."""

    def __init__(self, source: Path) -> None:
        self.source = source
        out = source.with_suffix(".json")
        self._server = subprocess.Popen(
            _pytest(source, str(SERVER), TROTH_MUTANTS_OUT=str(out)),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, words: list[str], seconds: float) -> int | None:
        """Exit status of pytest with these words; None if it took too long."""
        asked, answers = self._server.stdin, self._server.stdout
        if asked is None or answers is None:
            raise SystemExit("error: the server has no pipes")
        asked.write(json.dumps({"words": words, "seconds": seconds}) + "\n")
        asked.flush()
        status: int | None = json.loads(answers.readline())
        return status

    def close(self) -> None:
        """Let the server end."""
        self._server.communicate()


def caught(mutant: Mutant, base: Baseline, room: Room) -> Caught | None:
    """Whether some test fails with this mutant in place: which, or None."""
    tests = base.tests(mutant)
    file = room.source / mutant.path
    whole = (SOURCE / mutant.path).read_text("utf-8")
    file.write_text(broken(whole, mutant, checks=is_checks(mutant.path)), encoding="utf-8")
    try:
        for some in (tests[:FIRST], tests[FIRST:]):
            noticed = _noticed(some, base, room) if some else None
            if noticed is not None:
                return noticed
    finally:
        file.write_text(whole, encoding="utf-8")
    return None


def _noticed(tests: list[str], base: Baseline, room: Room) -> Caught | None:
    out = room.source.with_suffix(".json")
    out.unlink(missing_ok=True)
    seconds = PATIENCE + 10 * sum(base.took.get(name, 0.0) for name in tests)
    if room.ask(["-x", *OPTIONS, *tests], seconds) == 0:
        return None
    failed = json.loads(out.read_text("utf-8"))["failed"] if out.exists() else ()
    return Caught(tuple(failed or tests))


def copies(folder: Path, jobs: int) -> list[Path]:
    """A copy of the source for each job, with compiled files that are told by what they are made of."""
    sources = [folder / f"source{job}" for job in range(jobs)]
    for source in sources:
        shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(source, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return sources


def run(
    chosen: list[Mutant], base: Baseline, sources: list[Path], kept: Kept
) -> tuple[list[Mutant], set[str]]:
    """The survivors, and the tests that noticed the others."""
    rooms = [Room(source) for source in sources]
    free: SimpleQueue[Room] = SimpleQueue()
    for room in rooms:
        free.put(room)
    survivors: list[Mutant] = []
    noticing: set[str] = set()

    def one(mutant: Mutant) -> tuple[Mutant, Caught | None]:
        if before := kept.get(mutant):
            return mutant, before
        room = free.get()
        try:
            noticed = caught(mutant, base, room)
        finally:
            free.put(room)
        if noticed is not None:
            kept.add(mutant, noticed)
        return mutant, noticed

    with ThreadPoolExecutor(len(rooms)) as pool:
        for count, (mutant, noticed) in enumerate(pool.map(one, chosen), 1):
            if noticed is None:
                survivors.append(mutant)
                print(f"survived: {mutant.name}  (line {mutant.line})", flush=True)
            else:
                noticing.update(noticed.tests)
            if count % 50 == 0:
                print(f"{count} of {len(chosen)}, {len(survivors)} survived", flush=True)
    for room in rooms:
        room.close()
    return survivors, noticing


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
    # Of a sample, those that no test can tell say nothing: there may be more of them than their share.
    alive = sum(m.kind != "removed" and (whole or m.name not in reasons) for m in survivors)
    if others and alive / len(others) > 1 - ENOUGH:
        wrong.append(f"{alive} of {len(others)} others survive, more than {1 - ENOUGH:.0%}")
    return wrong


def main() -> int:
    """Break, run, tell."""
    parser = argparse.ArgumentParser(description="break troth in one place at a time")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sample", type=int, help="so many of the mutants that remove no check")
    parser.add_argument("--removed", type=int, help="of a sample: so many that remove one, not all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only mutants whose name has this in it")
    parser.add_argument("--page", action="store_true", help="write the page; a whole run does")
    parser.add_argument("--keep", type=Path, help="a file of what was caught, to go on later")
    given = parser.parse_args()
    made = everything()
    reasons: dict[str, str] = tomllib.loads(REASONS.read_text("utf-8"))
    chosen = [mutant for mutant in made if given.only in mutant.name]
    if wrong := [*forgotten(made, reasons), *([] if chosen else ["no mutant is chosen"])]:
        raise SystemExit("\n".join(f"error: {line}" for line in wrong))
    if given.sample is not None:
        removed = [m for m in chosen if m.kind == "removed"]
        kept = drawn([m for m in chosen if m.kind != "removed"], given.sample, given.seed)
        kept |= drawn(removed, given.removed or len(removed), given.seed)
        chosen = [m for m in chosen if m.name in kept]
    print(f"{len(chosen)} mutants: {dict(Counter(m.kind for m in chosen))}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        sources = copies(Path(folder), given.jobs)
        base = baseline(sources)
        survivors, noticing = run(chosen, base, sources, Kept(given.keep, REPOSITORY))
        control(sources, noticing)
    whole = given.sample is None and not given.only
    wrong = judge(chosen, survivors, reasons, whole=whole)
    if whole or given.page:
        PAGE.write_text(page(made, chosen, survivors, reasons), encoding="utf-8")
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
