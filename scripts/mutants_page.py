"""The page that lists what survived a whole run of `make mutants`, and why that is no hole."""

from collections.abc import Mapping, Sequence
from typing import Final

from mutants_make import Mutant

KINDS: Final = {
    "removed": "a check that no longer looks",
    "refusal": "an error that is no longer raised",
    "flip": "a comparison turned round",
    "edge": "a limit moved by one",
}


def page(chosen: Sequence[Mutant], survivors: Sequence[Mutant], reasons: Mapping[str, str]) -> str:
    """Markdown: a table of numbers, and the survivors with their reasons."""
    lines = [
        "# Mutants",
        "",
        "`make mutants` breaks troth in one place at a time and runs the tests that execute that place.",
        "Every removed check must be caught, and 95 in 100 of the others. This page is written by a whole",
        "run; the reasons are in `scripts/mutants.toml`.",
        "",
        "| kind | what is broken | made | caught |",
        "| --- | --- | --- | --- |",
    ]
    for kind, what in KINDS.items():
        made = sum(mutant.kind == kind for mutant in chosen)
        alive = sum(mutant.kind == kind for mutant in survivors)
        lines.append(f"| {kind} | {what} | {made} | {made - alive} |")
    lines += ["", "## Survivors", ""]
    for mutant in survivors:
        reason = reasons.get(mutant.name, "no reason yet")
        lines.append(f"- `{mutant.name}`: {reason}")
    return "\n".join(lines) + "\n"
