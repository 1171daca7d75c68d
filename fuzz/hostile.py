"""What stands around a vsock back end that is treated badly, and what must hold whatever is done to it.

The back end runs in this thread, turn by turn. Around the guest's memory lie guards with a text that
nobody may write over, and that nobody may ever be told.
"""

import contextlib
import os
import shutil
import socket
import tempfile
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.runtime.vsock.front import (
    CANARY,
    ENTRIES,
    GUARD,
    SIZE,
    Front,
    Queue,
)
from tests.runtime.vsock.guest import Guest

from fuzz.target import Broken, must
from troth.runtime.vsock import host
from troth.runtime.vsock.backend import Backend
from troth.runtime.vsock.device import MOST_STREAMS
from troth.runtime.vsock.streams import ROOM

CID = 4
TAKES, STUCK, NOBODY = 1, 2, 3  # ports of the host's
MOST_RESETS = 1024


class Rig:
    """A back end, and everything around it. Scripts run one after the other, each from the beginning."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="vsock"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.messages = self.scripts = self.visits = self.carried = 0
        uds = folder / "uds"
        front, door = host.listen(folder / "front"), host.listen(uds)
        self.backend = Backend(front, door, uds, CID)
        self.uds = uds
        self.takes = self._listen(TAKES, 64)
        self.stuck = self._listen(STUCK, 1)
        self.friends: list[socket.socket] = []
        self.front = Front(folder / "front", turn=lambda: self.turn(1))
        self.spare = os.memfd_create("spare", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.spare, GUARD + SIZE)
        self.files = [self.front.file, self.front.file, *self._odd_files(folder)]
        self.turn(2)
        self._drop()
        self._still = len(list(Path("/proc/self/fd").iterdir()))

    def play(self, steps: Iterable[Callable[[], object]]) -> None:
        """Does one step after the other, and looks whether all is as it must be after them.

        Raises:
            Broken: it is not.
        """
        self.scripts += 1
        self.connect()
        for step in steps:
            # What the back end refuses it hangs up on; the next step finds out.
            with contextlib.suppress(OSError, EOFError):
                step()
        self.turn(3)
        self._bounded()
        self._drop()
        self._clean()

    def serves(self) -> None:
        """Shows that a guest that keeps the rules is served as if nothing had been.

        Raises:
            Broken: it is not.
        """
        self.front.features = 1 << 32 | 1 << 30 | 1 << 28
        self.connect()
        guest = Guest(self.front)
        stream = guest.connect(TAKES)
        friend = self.takes.accept()[0]
        friend.setblocking(True)
        stream.send(b"question" * 9000)
        got = b""
        while len(got) < 72000:
            self.turn(1)
            got += friend.recv(1 << 16)
        friend.sendall(b"answer" * 3000)
        must(got == b"question" * 9000, "bytes of the guest are not as they were sent")
        must(
            stream.exactly(18000) == b"answer" * 3000, "bytes of the host are not as they were sent"
        )
        stream.close()
        friend.close()
        self._drop()

    # What must hold

    def _bounded(self) -> None:
        device = self.backend.device
        streams = [*device._streams.values(), *device._draining]  # noqa: SLF001
        must(len(streams) <= MOST_STREAMS, f"{len(streams)} streams")
        must(all(len(stream.buffer) <= ROOM for stream in streams), "more in a buffer than credit")
        owed = len(device._resets)  # noqa: SLF001
        must(owed <= MOST_RESETS, f"{owed} answers owed")
        for name in ("_owing", "_ready", "_deadlines", "_touched"):
            must(len(getattr(device, name)) <= MOST_STREAMS, f"{name} grows")
        must(self.front.untouched(), "something around the guest's memory was written")

    def _clean(self) -> None:
        self.turn(2)
        must(self.backend.session is None, "the visit does not end")
        must(self.backend.device.count() == 0, "streams outlive their guest")
        if self.scripts % 64 == 0:
            there = len(list(Path("/proc/self/fd").iterdir()))
            must(there == self._still, f"{there} descriptors are open, not {self._still}")
            must(
                bytes(self.front.memory).find(CANARY) < 0, "the guest was told what is not its own"
            )

    def told(self, data: bytes) -> None:
        """Looks at what came out at the host."""
        self.carried += len(data)
        must(CANARY[:16] not in data, "the host was told what is not the guest's")

    # Helpers

    def _listen(self, port: int, backlog: int) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(f"{self.uds}_{port}")
        listener.listen(backlog)
        return listener

    def _odd_files(self, folder: Path) -> list[int]:
        small = os.memfd_create("small", os.MFD_ALLOW_SEALING)
        os.ftruncate(small, 4096)
        never = os.memfd_create("never sealed")
        os.ftruncate(never, SIZE)
        plain = os.open(folder / "plain", os.O_RDWR | os.O_CREAT)
        os.ftruncate(plain, SIZE)
        null = os.open("/dev/null", os.O_RDWR)
        return [*self.front.kicks, *self.front.calls, small, never, plain, null]

    def connect(self) -> None:
        """A visit of the front end's, once the last one is over; nothing has been said yet."""
        self._drop()
        self.visits += 1
        self.front.connect()
        self.front.sock.settimeout(0)
        for queue in self.front.queues:
            queue.reset()
        self.turn(1)

    def _drop(self) -> None:
        self.front.sock.close()
        for friend in self.friends:
            friend.close()
        self.friends.clear()
        self.turn(3)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.takes.accept()[0].close()
        self.stuck.close()
        Path(f"{self.uds}_{STUCK}").unlink()
        self.stuck = self._listen(STUCK, 1)
        self.turn(1)

    def turn(self, times: int) -> None:
        """Lets the back end work.

        Raises:
            Broken: it lets out what would end its thread.
        """
        for _ in range(times):
            try:
                self.backend.turn(0)
            except (OSError, EOFError) as error:  # of a step's own these are no finding
                raise Broken(f"the back end lets {error!r} out") from error

    def send(self, request: int, payload: bytes, files: tuple[int, ...], flags: int = 1) -> None:
        """Sends a message and throws the answer away."""
        self.messages += 1
        self.front.send(request, payload, files, flags)
        self.turn(3)
        with contextlib.suppress(BlockingIOError):
            self.front.sock.recv(4096)

    def queue(self, index: int) -> Queue:
        """A ring with room for more; what is still in use may be used again, against the rules."""
        queue = self.front.queues[index]
        if len(queue.free) < 40:
            queue.free = list(range(ENTRIES))
        return queue
