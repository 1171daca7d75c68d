"""What `mutants.py` remembers from one run to the next, so that one that was ended can go on."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from mutants_make import Mutant


@dataclass(frozen=True)
class Caught:
    """A mutant that was noticed, and the tests that noticed it."""

    tests: tuple[str, ...]


class Kept:
    """Which mutants were caught before, in a file: a line for each, while module and tests are the same.

    What those tests lean on may have changed since. That they pass without a mutant is seen at the end of
    each run; that they still notice this one, by a run that keeps nothing.

    Args:
        path: the file, or None to keep nothing.
        repository: whose mutants they are.
    """

    def __init__(self, path: Path | None, repository: Path) -> None:
        self._path = path
        self._repository = repository
        self._lines: dict[str, tuple[str, Caught]] = {}
        if path is not None and path.exists():
            for line in path.read_text("utf-8").splitlines():
                # A line that was cut short is one mutant more to run.
                with contextlib.suppress(json.JSONDecodeError):
                    name, digest, tests = json.loads(line)
                    self._lines[name] = digest, Caught(tuple(tests))

    def get(self, mutant: Mutant) -> Caught | None:
        """The tests that noticed it, if neither they nor its module have changed."""
        digest, caught = self._lines.get(mutant.name, ("", Caught(())))
        return caught if digest and digest == self._digest(mutant, caught) else None

    def add(self, mutant: Mutant, caught: Caught) -> None:
        """Write one down at once: whatever ends this run, the next one knows."""
        if self._path is not None:
            line = json.dumps([mutant.name, self._digest(mutant, caught), caught.tests])
            with self._path.open("a", encoding="utf-8") as out:
                out.write(line + "\n")

    def _digest(self, mutant: Mutant, caught: Caught) -> str:
        files = sorted({self._repository / test.partition("::")[0] for test in caught.tests})
        running = hashlib.sha256()
        for file in (self._repository / "src" / mutant.path, *files):
            running.update(hashlib.sha256(file.read_bytes() if file.exists() else b"").digest())
        return running.hexdigest()
