"""The host's end of the control channel and of the heartbeat: see `troth.wire.control`.

The guest is hostile: one agent is listened to, its frames are short, and what it says is believed only as
far as whether it is ready and how its app ended.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.runtime import linux
from troth.wire import control

_BEAT_SECONDS: Final = 10.0
_SEND_SECONDS: Final = 30.0
_WORD_SECONDS: Final = 1
"""For a word to an agent that may not listen: whoever waits for it is about to end the agent."""


class Control:
    """Waits for one agent, hands data over, and knows what it has said.

    Args:
        listener: where the guest's connections to the control port arrive; closed by `close`.
        free: data for the names that the image declares as free.
        admits: whether a connection from this address is the guest's; the first that is, is taken.

    Attributes:
        met: whether the agent has come.
        ready: whether it has said so.
        code: the app's exit code, once it has ended.
        trouble: why the agent is no longer listened to, if it broke the rules.

    Raises:
        Misuse: the data are too large together.
    """

    def __init__(
        self,
        listener: socket.socket,
        free: Mapping[str, bytes],
        *,
        admits: Callable[[Any], bool] = lambda _: True,
    ) -> None:
        self.met = False
        self.ready = False
        self.code: int | None = None
        self.trouble = ""
        self._listener = listener
        self._admits = admits
        self._agent: socket.socket | None = None
        self._lock = threading.Lock()
        self._first = control.pack({"free": {name: value.hex() for name, value in free.items()}})
        if len(self._first) > control.MAX_FREE:
            raise Misuse(
                f"the free data take {len(self._first)} bytes as text; {control.MAX_FREE} are the "
                "limit for all of them together",
                fix="hand over less, or have the app fetch it",
            )

    def start(self) -> None:
        """Serves on a thread of its own."""
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def stop(self) -> None:
        """Asks the agent to end its app; no harm where there is none."""
        self._say({"stop": True})

    def close(self) -> None:
        """Listens to nobody any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            if self._agent is not None:
                with contextlib.suppress(OSError):
                    self._agent.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        agent = self._accept()
        if agent is None:
            return
        with agent:
            agent.settimeout(_SEND_SECONDS)
            with self._lock:
                self._agent = agent
            try:
                agent.sendall(self._first)
                agent.settimeout(None)
                linux.send_patience(agent, _WORD_SECONDS)
                self.met = True
                self._listen(agent)
            except Malformed as error:
                self.trouble = str(error)
            except OSError:
                pass  # it is gone, or we are
            with self._lock:
                self._agent = None

    def _accept(self) -> socket.socket | None:
        while True:
            try:
                sock, address = self._listener.accept()
            except OSError:
                return None
            if self._admits(address):
                return sock
            sock.close()

    def _listen(self, agent: socket.socket) -> None:
        while (message := control.take(agent.recv)) is not None:
            match message:
                case ("ready", True):
                    self.ready = True
                case ("ended", int(code)) if 0 <= code <= 255 and not isinstance(code, bool):
                    self.code = code
                    self._say({"seen": True})
                    return  # that was its last word, and is answered once
                case (name, _):
                    raise Malformed(f"says {name!r:.40}", field="agent")

    def _say(self, message: dict[str, Any]) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._agent is not None:
                self._agent.sendall(control.pack(message))


def answer_heartbeats(listener: socket.socket) -> None:
    """Answers as AWS's host program does, on a thread, until the socket is closed."""
    threading.Thread(target=_beats, args=(listener,), name="heartbeat", daemon=True).start()


def _beats(listener: socket.socket) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock, contextlib.suppress(OSError):
            sock.settimeout(_BEAT_SECONDS)
            if sock.recv(1) == control.HEARTBEAT:
                sock.sendall(control.HEARTBEAT)
