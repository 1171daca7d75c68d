"""`troth ps`: list what runs."""


def ps(*, json: bool = False) -> int:
    """List the runs of this user, oldest first.

        troth ps
        troth ps --json

    Args:
        json: print as JSON.
    """
    from troth.cli._console import out
    from troth.runtime import state
    from troth.wire import json as strict

    runs = state.everything()
    if json:
        out(strict.canonical([run.to_dict() for run in runs]).decode())
        return 0
    for run in runs:
        scheme = "tcp" if run.raw_nsm else "https"
        ports = ", ".join(f"{p.port} -> {scheme}://{p.address}" for p in run.published)
        mode = "  DEBUG" if run.debug else ""
        out(f"{run.id}  {run.seen} on {run.on}{mode}  since {run.started}  {ports or 'no ports'}")
    return 0
