"""`python -m troth.channel.services.simulate SERVICE FOLDER`: an attested service on your own machine.

It isolates nothing and proves nothing: its roots are made at start. FOLDER gets what a verifier of it
needs: `url`, `root.pem`, `policy.toml`, `collateral.json` where its platform has endorsements, and `address`
where it signs with a wallet's key. It serves until Ctrl-C, or until it is told to end.
"""

import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from troth.channel.services.simulate.stages import STAGES, Stage
from troth.trust import collateral

_MISUSE: Final = 2
_UNAVAILABLE: Final = 5


def files(stage: Stage, url: str, address: str) -> dict[str, bytes]:
    """What a verifier needs, by name."""
    made = {
        "url": f"{url}\n".encode(),
        "root.pem": stage.roots,
        "policy.toml": stage.policy.to_toml().encode(),
    }
    if stage.collateral.items:
        made["collateral.json"] = collateral.freeze(stage.collateral)
    if address:
        made["address"] = f"{address}\n".encode()
    return made


def _ended(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Serves until it is told to end.

    Args:
        arguments: the service's name, and the folder for the files.
    """
    if len(arguments) != 2 or arguments[0] not in STAGES:
        sys.stderr.write("usage: python -m troth.channel.services.simulate SERVICE FOLDER\n")
        sys.stderr.write(f"SERVICE is one of: {', '.join(STAGES)}\n")
        return _MISUSE
    signal.signal(signal.SIGTERM, _ended)
    name, folder = arguments[0], Path(arguments[1])
    try:
        stage = STAGES[name](datetime.now(UTC))
        opened = stage.serve()
    except ImportError as error:
        sys.stderr.write(f"error: {error.name} is not installed, which {name} needs\n")
        sys.stderr.write("fix: pip install 'troth[services]'\n")
        return _UNAVAILABLE
    try:
        with opened as server:
            address = stage.address(server) if stage.address is not None else ""
            folder.mkdir(parents=True, exist_ok=True)
            made = files(stage, server.url, address)
            for one, data in made.items():
                (folder / one).write_bytes(data)
            sys.stdout.write(f"{name} listens on {server.url}; nothing here is isolated\n")
            sys.stdout.write(f"{folder}: {', '.join(made)}\n")
            sys.stdout.flush()
            threading.Event().wait()
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
        return _UNAVAILABLE
    except KeyboardInterrupt:
        sys.stdout.write("ended\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
