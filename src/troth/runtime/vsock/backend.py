"""The back end as a whole: a thread that QEMU connects to, with a guest's streams on unix sockets."""

import contextlib
import os
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Final, Self

from troth.errors import Misuse, Unavailable
from troth.runtime.vsock import host
from troth.runtime.vsock.device import HOST_CID, Device
from troth.runtime.vsock.loop import IN, Loop
from troth.runtime.vsock.session import Session

GUEST_CID: Final = 4
_NO_GUESTS: Final = (0, 1, 2, HOST_CID, 0xFFFF_FFFF)
_MACHINES: Final = ("x86_64",)
_JOIN_SECONDS: Final = 5.0
_MOST_NOTES: Final = 16


class Backend:
    """Everything but the thread: who calls `turn` runs it.

    Args:
        front: a listening socket for the front end.
        door: a listening socket for the host's programs.
        uds: the path of the latter.
        cid: the guest's.
    """

    def __init__(self, front: socket.socket, door: socket.socket, uds: Path, cid: int) -> None:
        self.notes: deque[str] = deque(maxlen=_MOST_NOTES)
        self.loop = Loop()
        self.device = Device(self.loop, cid=cid, dial=lambda port: host.dial(uds, port))
        self.door = host.Door(self.loop, self.device, door)
        self.session: Session | None = None
        self._gate = host.Gate(self.loop, front, self._meet)
        self._cid = cid
        self._more = False
        self._tend()

    def turn(self, timeout: float | None = None) -> None:
        """Waits until something can be done, and does it.

        Args:
            timeout: seconds at most; None is no limit.
        """
        waits = (timeout, self.device.wait(), self.door.wait(), self._gate.wait())
        known = [wait for wait in waits if wait is not None]
        self.loop.turn(0.0 if self._more else min(known, default=None))
        self._more = self.session is not None and self.session.pump()
        self._tend()
        self.loop.tidy()

    def close(self) -> None:
        """Ends all of it."""
        if self.session is not None:
            self.session.close("the back end ends")
        self.door.close()
        self._gate.close()
        self.loop.close()

    def _tend(self) -> None:
        self.door.tend()
        # One front end at a time; the next one waits in the listener's queue.
        self._gate.tend(is_open=self.session is None)

    def _meet(self, sock: socket.socket) -> None:
        self.session = Session(self.loop, sock, self.device, cid=self._cid, end=self._over)

    def _over(self, reason: str) -> None:
        self.notes.append(reason)
        self.session = None


class Vsock:
    """A vsock device for one guest at a time, in a thread of its own.

    Args:
        socket_path: where QEMU connects (`-chardev socket,path=…`).
        uds: where programs of the host connect; `<uds>_<port>` is where the guest's connections go.
        guest_cid: the guest's context identifier.

    Raises:
        Misuse: the identifier is the host's, or reserved.
        Unavailable: this machine's processor is not one it is made for.
    """

    def __init__(self, socket_path: Path, uds: Path, *, guest_cid: int = GUEST_CID) -> None:
        if guest_cid in _NO_GUESTS or not 0 < guest_cid < 1 << 32:
            raise Misuse(f"{guest_cid} is no guest's CID", fix="take one from 4 to 4294967294")
        if os.uname().machine not in _MACHINES:
            raise Unavailable(
                f"the vsock back end is not made for {os.uname().machine}",
                fix="run the image on the simulator, or on an x86-64 machine",
            )
        self._paths = (socket_path, uds)
        self._cid = guest_cid
        self._backend: Backend | None = None
        self._thread: threading.Thread | None = None
        self._wake = -1
        self._stop = False
        self._failure: BaseException | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Why the last front ends' visits ended, the latest last."""
        return tuple(self._backend.notes.copy()) if self._backend is not None else ()

    def start(self) -> None:
        """Listens at both paths, and serves from then on.

        Raises:
            Unavailable: one of the sockets can't be there.
        """
        socket_path, uds = self._paths
        front = host.listen(socket_path)
        try:
            door = host.listen(uds, longer=len("_4294967295"))
        except BaseException:
            front.close()
            socket_path.unlink()
            raise
        self._backend = Backend(front, door, uds, self._cid)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._backend.loop.watch(self._wake, IN, self._woken)
        self._thread = threading.Thread(target=self._run, name="vsock", daemon=True)
        self._thread.start()

    def connect(self, port: int, timeout: float = 5.0) -> socket.socket:
        """A stream to the guest's port.

        Args:
            port: the guest's.
            timeout: seconds at most.

        Raises:
            ConnectionRefusedError: there is no guest yet, or nobody listens there.
            TimeoutError: the guest did not answer in time.
            OSError: this back end does not run.
        """
        return host.call(self._paths[1], port, timeout)

    def close(self) -> None:
        """Ends all streams and takes the sockets away. What went wrong in the thread comes out here."""
        if self._thread is None:
            return
        self._stop = True
        os.eventfd_write(self._wake, 1)
        self._thread.join(_JOIN_SECONDS)
        if not self._thread.is_alive():
            os.close(self._wake)
        self._thread = None
        for path in self._paths:
            path.unlink(missing_ok=True)
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _woken(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _run(self) -> None:
        backend = self._backend
        if backend is None:
            return
        try:
            while not self._stop:
                backend.turn()
        except BaseException as error:  # noqa: BLE001 - it is raised again where somebody hears it
            self._failure = error
        finally:
            # Whatever it was: nobody may wait for ever for a thread that is gone.
            backend.close()
