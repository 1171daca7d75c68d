"""The two kinds of host an agent may have: one that simulates, and one outside of a machine of its own.

Whichever it is, the host carries bytes, hands over data that nobody vouches for, and may end the enclave.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from troth.errors import Malformed, Unavailable
from troth.runtime import linux
from troth.wire import control, text

SHARED: Final = Path("/run/troth/host")
"""Shared with a simulating host: a socket a port, `free/NAME`, and the file that says ready."""
_FREE: Final = Path("/run/troth/free")
_ANY: Final = 0xFFFFFFFF
_SECONDS: Final = 10.0
_BACKLOG: Final = 128


class Host(Protocol):
    """What the agent needs of a host."""

    @property
    def free(self) -> Path:
        """A folder with the data that the host handed over, a file a name."""

    def listen(self, port: int) -> socket.socket:
        """A listening socket that the host can reach as this port."""

    def watch(self, stop: Callable[[], None]) -> None:
        """From now on, calls `stop` when the host wants the enclave to end."""

    def say_ready(self) -> None:
        """The app answers on all of its ports."""

    def say_ended(self, code: int) -> None:
        """The app has ended; nothing is said after this."""


class Simulating:
    """Shares a folder; a process tells it the end, and signals reach process 1."""

    free: Final = SHARED / "free"

    def listen(self, port: int) -> socket.socket:
        """A unix socket, which stands for a port."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(SHARED / f"{port}.sock"))
        listener.listen(_BACKLOG)
        return listener

    def watch(self, stop: Callable[[], None]) -> None:
        """Signals come by themselves."""

    def say_ready(self) -> None:
        """Leaves a file."""
        (SHARED / "ready").touch()

    def say_ended(self, code: int) -> None:
        """The exit of process 1 says it."""


class Outside:
    """Speaks vsock. Made when the agent starts: says that the enclave lives, and takes the host's data.

    Raises:
        Unavailable: the host refuses the heartbeat. AWS's own init gives up, too.
        Malformed: what it hands over is not in the form agreed.
    """

    free: Final = _FREE

    def __init__(self) -> None:
        _beat()
        self._lock = threading.Lock()
        self._seen = threading.Event()
        self._control = _connect(control.CONTROL_PORT)
        _FREE.mkdir(parents=True, mode=0o700)
        if self._control is None:
            return  # a host that knows nothing of troth; it can be lived with
        first = control.take(self._control.recv, limit=control.MAX_FREE)
        _keep(first)
        self._control.settimeout(None)
        # A host that does not read must not keep the machine from its end.
        linux.send_patience(self._control, int(_SECONDS))

    def listen(self, port: int) -> socket.socket:
        """The vsock port."""
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        listener.bind((_ANY, port))
        listener.listen(_BACKLOG)
        return listener

    def watch(self, stop: Callable[[], None]) -> None:
        """Reads the control channel on a thread."""
        threading.Thread(target=self._read, args=(stop,), daemon=True).start()

    def say_ready(self) -> None:
        """A frame, where there is a control channel."""
        self._say({"ready": True})

    def say_ended(self, code: int) -> None:
        """A frame, and the answer that it has arrived: the machine's end would overtake it."""
        if self._say({"ended": code}):
            self._seen.wait(_SECONDS)

    def _say(self, message: dict[str, Any]) -> bool:
        if self._control is None:
            return False
        with self._lock, contextlib.suppress(OSError):
            self._control.sendall(control.pack(message))
            return True
        return False

    def _read(self, stop: Callable[[], None]) -> None:
        if self._control is None:
            return
        with contextlib.suppress(OSError, Malformed):
            while (message := control.take(self._control.recv)) is not None:
                match message:
                    case ("stop", True):
                        stop()
                    case ("seen", True):
                        break
        self._seen.set()  # or gone: either way nothing more will come


def _connect(port: int) -> socket.socket | None:
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    sock.settimeout(_SECONDS)
    # The kernel's own patience is two seconds, and a busy host is no refusal.
    try:
        linux.vsock_patience(sock, int(_SECONDS))
        sock.connect((control.HOST, port))
    except OSError:
        sock.close()
        return None
    return sock


def _beat() -> None:
    sock = _connect(control.HEARTBEAT_PORT)
    answer = b""
    if sock is not None:
        with sock, contextlib.suppress(OSError):
            sock.sendall(control.HEARTBEAT)
            answer = sock.recv(1)
    if answer != control.HEARTBEAT:
        raise Unavailable(
            f"the host does not answer the heartbeat on vsock port {control.HEARTBEAT_PORT}",
            fix="start the image with troth run or nitro-cli, which answer it",
        )


def _keep(first: tuple[str, Any] | None) -> None:
    """Writes what the host hands over where the API looks for it."""
    match first:
        case ("free", dict(data)):
            for name, value in data.items():
                if not text.NAME.fullmatch(name):
                    raise Malformed(f"hands over {name!r:.80}, which is no name", field="free")
                if not isinstance(value, str) or not text.HEX.fullmatch(value):
                    raise Malformed("is not lower-case hex", field=f"free.{name}")
                descriptor = os.open(_FREE / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(bytes.fromhex(value))
        case _:
            raise Malformed("does not begin with the host's data", field="control channel")
