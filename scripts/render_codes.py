"""Write a page for each code, and their index, from the table of codes, into docs/reference/codes.

With `--check` it writes nothing and exits 1 if a page would change.
"""

import sys
from pathlib import Path
from typing import Final

from troth.model.codes import TABLE, Code

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference" / "codes"
INTRODUCTION: Final = (
    "# Every check code\n\n"
    "Made by `make docs` from the table in `src/troth/model/codes`. "
    "Numbers and slugs are stable for ever.\n"
)
QUESTIONS: Final = {
    "F": "Form: is it well-formed?",
    "G": "Genuineness: did the hardware say it?",
    "R": "Revocation and freshness: does it hold now?",
    "T": "TCB: is the platform up to date?",
    "M": "Measurement: is it the image you expected?",
    "B": "Binding: is it bound to this question, this key, this session?",
    "P": "Policy: is it what you require?",
    "A": "Audit: is the source, lock or image in order?",
}


def page(code: Code) -> str:
    """One code's page."""
    return (
        f"# {code.id} {code.slug}\n\n"
        f"**{code.title}**\n\n"
        f"{QUESTIONS[code.id[0]]}\n\n"
        f"## What it means\n\n{code.meaning}\n\n"
        f"## What to do\n\n{code.fix}\n\n"
        f"The same offline: `troth explain {code.id}`. [All codes](README.md)\n"
    )


def index() -> str:
    """The list of all codes, by question."""
    parts = [INTRODUCTION]
    for letter, question in QUESTIONS.items():
        codes = [code for code in TABLE.values() if code.id.startswith(letter)]
        if codes:
            parts.append(
                f"\n## {question}\n\n| code | name | when it does not pass |\n| --- | --- | --- |\n"
            )
            parts += [f"| [{c.id}]({c.id}.md) | `{c.slug}` | {c.title} |\n" for c in codes]
    return "".join(parts)


def pages() -> dict[Path, str]:
    """All pages by their paths."""
    return {FOLDER / "README.md": index()} | {
        FOLDER / f"{code.id}.md": page(code) for code in TABLE.values()
    }


def stale(made: dict[Path, str], folder: Path) -> list[Path]:
    """Pages that differ from what is on disk, are absent, or should be."""
    there = set(folder.rglob("*.md")) if folder.is_dir() else set()
    differ = [p for p, text in made.items() if p not in there or p.read_text("utf-8") != text]
    return sorted([*differ, *(there - made.keys())])


def main() -> int:
    """Write, or only compare."""
    made = pages()
    if "--check" in sys.argv[1:]:
        for path in (late := stale(made, FOLDER)):
            print(f"not up to date: {path.name}", file=sys.stderr)
        return 1 if late else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in set(FOLDER.glob("*.md")) - made.keys():
        path.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
