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
    import time

    from troth.cli._tail import Tail
    from troth.runtime import state

    record = state.read(run)
    tail = Tail(record.folder / state.CONSOLE)
    while True:
        live = record.folder.exists() and state.read(run).seen == state.RUNNING
        tail.show(ended=not follow or not live)
        if not follow or not live:
            return 0
        time.sleep(0.2)
