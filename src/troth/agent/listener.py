"""The attested way in: takes connections from the host, and leads what was attested to the app.

The host carries bytes and nothing else: over vsock, or over what stands for it in a simulation.
"""

import contextlib
import socket
import threading
from typing import Final

from troth.agent.attest import PLATFORM
from troth.channel.relay import relay
from troth.channel.server import Attest, Credentials, accept
from troth.errors import TrothError

MOST_CONNECTIONS: Final = 128
CONNECT_SECONDS: Final = 5.0


class Listener:
    """Serves one published port.

    Args:
        port: the app's port on the enclave's loopback.
        listener: that the host can reach.
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
