"""`troth logs`: what a run printed."""

from typing import Annotated

from cyclopts import Parameter


def logs(run: str, *, follow: Annotated[bool, Parameter(name=["--follow", "-f"])] = False) -> int:
    """Show what a run printed; control sequences are spelled out.

        troth logs auction-1c6201
        troth logs auction-1c6201 -f

    Args:
        run: its name, as `troth ps` lists it.
        follow: go on showing until it ends.
    """
    from troth.cli import _tail
    from troth.runtime import state

    _tail.follow(state.read(run), once=not follow)
    return 0
