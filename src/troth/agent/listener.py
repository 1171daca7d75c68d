"""The attested way in: takes connections from the host, and leads what was attested to the app.

The host carries bytes and nothing else. In a simulation it reaches the agent over a unix socket a
port, which stands for the vsock of a real enclave.
"""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Final

from troth.agent.attest import PLATFORM
from troth.channel.relay import relay
from troth.channel.server import Attest, Credentials, accept
from troth.errors import TrothError

MOST_CONNECTIONS: Final = 128
CONNECT_SECONDS: Final = 5.0
_VSOCK_ANY: Final = 0xFFFFFFFF


def open_port(port: int, shared: Path) -> socket.socket:
    """A listening socket that the host can reach.

    Args:
        port: the published port.
        shared: the folder shared with a simulating host; where there is none, this is a machine of
            its own and the host comes over vsock.
    """
    if shared.is_dir():
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(shared / f"{port}.sock"))
    else:
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        listener.bind((_VSOCK_ANY, port))
    listener.listen(128)
    return listener


class Listener:
    """Serves one published port.

    Args:
        port: the app's port on the enclave's loopback.
        listener: from `open_port`.
        credentials: key and certificate of this start.
        attest: makes evidence of a session.
    """

    def __init__(
        self, port: int, listener: socket.socket, credentials: Credentials, attest: Attest
    ) -> None:
        self._port = port
        self._listener = listener
        self._credentials = credentials
        self._attest = attest
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def start(self) -> None:
        """Serves in threads of its own until the process ends."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                sock.close()
                continue
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock: socket.socket) -> None:
        try:
            session = accept(sock, self._credentials, self._attest, platform=PLATFORM)
            try:
                app = socket.create_connection(("127.0.0.1", self._port), CONNECT_SECONDS)
            except OSError:
                session.close()
                return
            relay(session, app)
        except (TrothError, OSError):
            # The peer's doing: not our protocol, or gone. It was told as far as TLS tells.
            with contextlib.suppress(OSError):
                sock.close()
        finally:
            self._room.release()
