"""The page that says how many mutants were caught, lists the survivors, and why each is no hole."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mutants_make import Mutant

KINDS: Final = {
    "removed": "a check that no longer looks",
    "refusal": "an error that is no longer raised",
    "flip": "a comparison turned round",
    "edge": "a limit moved by one",
}


def page(
    made: Sequence[Mutant],
    chosen: Sequence[Mutant],
    survivors: Sequence[Mutant],
    reasons: Mapping[str, str],
) -> str:
    """Markdown: tables of numbers, and the survivors with their reasons."""
    names = {mutant.name for mutant in survivors}
    lines = [
        "# Mutants",
        "",
        "`make mutants` breaks troth in one place at a time and runs the tests that execute that place.",
        "Every removed check must be caught, and 95 in 100 of the others. This page is written by the",
        "last run with `--page`, on a whole or a sample of them; the reasons are in",
        "`scripts/mutants.toml`. CI runs a fixed sample: [how many](../../CONTRIBUTING.md).",
        "",
        "| kind | what is broken | made | run | caught |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {kind} | {what} | {_counts((m for m in made if m.kind == kind), chosen, names)} |"
            for kind, what in KINDS.items()
        ),
        "",
        "| room | made | run | caught |",
        "| --- | --- | --- | --- |",
        *(
            f"| `{room}/` | {_counts((m for m in made if _room(m) == room), chosen, names)} |"
            for room in dict.fromkeys(map(_room, made))
        ),
        "",
        "## Survivors",
        "",
        *(f"- `{m.name}`: {reasons.get(m.name, 'no reason yet')}" for m in survivors),
    ]
    return "\n".join(lines) + "\n"


def _counts(of: Iterable[Mutant], chosen: Sequence[Mutant], survivors: set[str]) -> str:
    made = {mutant.name for mutant in of}
    ran = made & {mutant.name for mutant in chosen}
    return f"{len(made)} | {len(ran)} | {len(ran - survivors)}"


def _room(mutant: Mutant) -> str:
    return mutant.path.removeprefix("troth/").rpartition("/")[0]
