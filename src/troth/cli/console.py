"""`troth console`: what a guest prints, as it prints it."""

from typing import Annotated

from cyclopts import Parameter


def console(run: str, *, once: Annotated[bool, Parameter(name=["--once", "-1"])] = False) -> int:
    """Show a guest's console as it comes, until the run ends or Ctrl-C: kernel, agent and app.

    On the simulator there is no kernel of the image's to speak. What is shown is the guest's word:
    control sequences in it are spelled out, and nothing that it says is evidence of anything.

        troth console auction-1c6201
        troth console auction-1c6201 --once

    Args:
        run: its name, as `troth ps` lists it.
        once: show what is there, and return.
    """
    from troth.cli._console import say
    from troth.cli._tail import follow
    from troth.runtime import grounds, state

    record = state.read(run)
    say(f"{record.id} on {record.on}: {grounds.kind(record.on).says}")
    follow(record, once=once)
    return 0
