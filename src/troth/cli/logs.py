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

    from troth.cli._console import out
    from troth.render.escape import visible
    from troth.runtime import state

    record = state.read(run)
    path = record.folder / state.CONSOLE
    shown = 0
    while True:
        live = state.read(run).seen == state.RUNNING if path.parent.exists() else False
        whole = path.read_bytes() if path.exists() else b""
        if len(whole) < shown:  # it was full and has been begun anew
            shown = 0
        text = whole[shown:]
        # Whole lines only, so that none is cut in two while it is written.
        ready = text if not (follow and live) else text[: text.rfind(b"\n") + 1]
        for line in ready.decode("utf-8", "replace").splitlines():
            out(visible(line, limit=4096))
        shown += len(ready)
        if not follow or not live:
            return 0
        time.sleep(0.2)
