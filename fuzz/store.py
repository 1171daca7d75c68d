"""What a run leaves for the next one: a folder for each target, with inputs worth keeping and a count."""

from dataclasses import dataclass
from pathlib import Path

from fuzz.target import name_of

FOLDER = Path(__file__).parents[1] / ".fuzz"


@dataclass(frozen=True, slots=True)
class Store:
    """One target's folder: `corpus/`, `findings/`, and `executions`, a number as text."""

    folder: Path

    @classmethod
    def of(cls, name: str, folder: Path = FOLDER) -> "Store":
        """The folder of a target, made if it is not there."""
        store = cls(folder / name)
        for inner in (store.corpus, store.findings):
            inner.mkdir(parents=True, exist_ok=True)
        return store

    @property
    def corpus(self) -> Path:
        """Inputs that went another way than all before."""
        return self.folder / "corpus"

    @property
    def findings(self) -> Path:
        """Inputs that should not be possible."""
        return self.folder / "findings"

    def kept(self, longest: int) -> list[bytes]:
        """The corpus, in the order of names, but for what is too long."""
        files = sorted(path for path in self.corpus.iterdir() if path.is_file())
        return [path.read_bytes() for path in files if path.stat().st_size <= longest]

    def keep(self, data: bytes) -> None:
        """Adds an input to the corpus."""
        (self.corpus / name_of(data)).write_bytes(data)

    def find(self, data: bytes) -> Path:
        """Keeps an input that is a finding; the file that holds it."""
        path = self.findings / name_of(data)
        path.write_bytes(data)
        return path

    def found(self) -> list[Path]:
        """Every finding that lies here, of this run and of those before."""
        return sorted(path for path in self.findings.iterdir() if path.is_file())

    def executions(self) -> int:
        """How many there were, in all runs; none where there is no folder."""
        path = self.folder / "executions"
        return int(path.read_text()) if path.exists() else 0

    def count(self, more: int) -> None:
        """Adds to the number of executions."""
        total = self.executions() + more
        (self.folder / "executions").write_text(f"{total}\n")
