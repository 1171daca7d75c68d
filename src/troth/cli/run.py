"""`troth run`: start an image."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from troth.cli._console import out, read_source, say
from troth.errors import Misuse, TrothError

if TYPE_CHECKING:
    from troth.runtime.runs import Run

_PORT: Final = re.compile("[0-9]{1,5}")


def run(
    image: Path,
    *,
    on: Literal["simulator", "microvm", "qemu-nitro", "nitro"] = "simulator",
    publish: Annotated[Sequence[str], Parameter(name=["--publish", "-p"])] = (),
    free: Sequence[str] = (),
    debug_mode: bool = False,
    detach: Annotated[bool, Parameter(name=["--detach", "-d"])] = False,
    json: bool = False,
) -> int:
    """Start an image, publish its ports on 127.0.0.1, and show what it prints until it ends.

    On the simulator the image's programs run in namespaces of this machine. On microvm the image boots,
    with its own kernel, in QEMU. Neither isolates it from this machine, and the evidence of both counts
    only under your own development root (its path is printed). On qemu-nitro QEMU boots the file as it
    is and signs nothing, so every verifier refuses its evidence. On nitro, an EC2 instance, the image
    is an enclave.

        troth run app.eif
        troth run app.eif --on microvm
        troth run app.eif --on nitro --detach
        troth run app.eif --publish 8080:9000 --detach
        troth run app.eif --free greeting=hello.txt

    Args:
        image: an EIF that troth built.
        on: where to run it; `troth doctor` says what works here.
        publish: IMAGE_PORT:HOST_PORT, host port 0 for any; may be repeated. Default: every port.
        free: NAME=FILE, data for a name that the image declares as free; may be repeated.
        debug_mode: as a debug enclave, which every verifier refuses.
        detach: leave it running and return; `troth ps` lists it.
        json: print the run's state as JSON.
    """
    from troth.runtime import development, grounds, runs
    from troth.wire import json as strict

    kind = grounds.kind(on)
    given = dict(_pair(item, "NAME=FILE") for item in free)
    with runs.start(
        image,
        pki=development.nitro() if kind.development else None,
        on=on,
        publish=_ports(publish),
        free={name: read_source(path, limit=1024 * 1024) for name, path in given.items()},
        debug=debug_mode,
        detach=detach,
    ) as started:
        say(f"{started.id} on {on}: {kind.says}")
        scheme = "tcp" if started.raw_nsm else "https"
        if started.raw_nsm:
            say("its app has the security module itself: its ports are not the attested channel")
        if json:
            out(strict.canonical(started.state.to_dict()).decode())
        else:
            for port in started.published:
                out(f"{port.port} -> {scheme}://{port.address}")
            if kind.development:
                say(f"trust its evidence with --trust {development.root_file()}")
        if detach:
            return 0
        return _follow(started)


def _follow(started: "Run") -> int:
    """Shows the console until the image ends; 1 if it failed."""
    import threading

    from troth.cli._tail import Tail
    from troth.runtime import state

    ended: list[int] = []

    def wait() -> None:
        try:
            ended.append(started.wait())
        except (TrothError, ValueError):  # its supervisor was killed, or we are leaving
            ended.append(1)

    threading.Thread(target=wait, daemon=True).start()
    tail = Tail(started.state.folder / state.CONSOLE)
    while True:
        done = bool(ended)  # asked first: what came before the end is then shown
        tail.show(ended=done)
        if done:
            say(f"{started.id} ended with {ended[0]}")
            return 0 if ended[0] == 0 else 1
        time.sleep(0.1)


def _pair(item: str, form: str) -> tuple[str, str]:
    left, sign, right = item.partition("=" if "=" in form else ":")
    if not sign or not left or not right:
        raise Misuse(f"{item!r} is not {form}")
    return left, right


def _ports(items: Sequence[str]) -> dict[int, int] | None:
    if not items:
        return None
    ports = {}
    for item in items:
        inside, outside = _pair(item, "IMAGE_PORT:HOST_PORT")
        if not (_PORT.fullmatch(inside) and _PORT.fullmatch(outside) and int(outside) < 65536):
            raise Misuse(f"{item!r} is not IMAGE_PORT:HOST_PORT", fix="write it like 8080:0")
        ports[int(inside)] = int(outside)
    return ports
