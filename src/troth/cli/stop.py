"""`troth stop`: end a run."""

from typing import Annotated

from cyclopts import Parameter


def stop(run: str | None = None, *, every: Annotated[bool, Parameter(name="--all")] = False) -> int:
    """End a run and remove everything of it.

        troth stop auction-1c6201
        troth stop --all

    Args:
        run: its name, as `troth ps` lists it.
        every: end all runs of this user.
    """
    from troth.cli._console import out
    from troth.errors import Misuse
    from troth.runtime import runs, state

    if every == (run is not None):
        raise Misuse("name one run, or --all", fix="troth ps")
    for name in [r.id for r in state.everything()] if run is None else [run]:
        runs.stop(name)
        out(name)
    return 0
