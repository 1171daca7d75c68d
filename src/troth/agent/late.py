"""The API's socket from the start; what speaks HTTP on it is loaded when somebody knocks.

An app that never asks its agent does not wait for that, and on an emulated processor it is a quarter of
the agent's own start.
"""

import select
import socket
import threading
from pathlib import Path
from typing import Final

from troth.agent.api import Api

_BACKLOG: Final = 512
"""A full queue is an error for callers with a timeout, not a wait."""


def serve(path: Path, api: Api) -> None:
    """Serves the API on this socket, from threads of its own, until the process ends.

    Args:
        path: the socket's; anybody inside the enclave may connect.
        api: what answers.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(_BACKLOG)
    threading.Thread(target=_wait, args=(listener, api), daemon=True).start()


def _wait(listener: socket.socket, api: Api) -> None:
    select.select([listener], [], [])
    from troth.agent.serve import Server

    Server(listener, api).serve_forever()
