"""A front end and a guest in Python: what QEMU and Linux's driver do, so that tests can do it wrong.

`Front` speaks vhost-user and owns the guest's memory, between guards that nobody may touch. `Queue` is
the driver's side of a ring. Neither keeps to any rule that its caller does not keep.
"""

import array
import mmap
import os
import select
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from troth.runtime.vsock import messages
from troth.runtime.vsock.messages import Request

GUARD = 1 << 16
SIZE = 8 << 20
BASE = 0x4000_0000
USER = 0x7F00_0000_0000
ENTRIES = 128
CANARY = b"never to be read or written; "
NEXT, WRITE, INDIRECT = 1, 2, 4

# Where things are in the guest's memory.
RINGS = (0x0000, 0x4000)
TABLES = 0x8000
BUFFERS = 0x20000
SEALS = 0x0002 | 0x0004 | 0x0001  # F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL: as QEMU sets them


class Front:
    """A front end: the connection to the back end, and the memory.

    Args:
        path: of the back end's socket.
        features: what it accepts.
        turn: what makes a back end go on that has no thread of its own.
    """

    def __init__(
        self,
        path: Path,
        *,
        features: int = (1 << 32) | (1 << 30) | (1 << 28),
        turn: Callable[[], None] | None = None,
    ) -> None:
        self.path = path
        self.features = features
        self.turn = turn
        self.file = os.memfd_create("guest", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(self.file, GUARD + SIZE + GUARD)
        self.whole = mmap.mmap(self.file, GUARD + SIZE + GUARD)
        self.guard = (CANARY * (GUARD // len(CANARY) + 1))[:GUARD]
        self.whole[:GUARD] = self.guard
        self.whole[GUARD + SIZE :] = self.guard
        self.memory = memoryview(self.whole)[GUARD : GUARD + SIZE]
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK)]
        self.calls = [os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK)]
        self.queues = [Queue(self, 0), Queue(self, 1)]
        self.connect()

    def connect(self) -> None:
        """Connects, once more if need be; the memory stays as it is."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(self.path))

    def close(self) -> None:
        """The front end goes away."""
        self.sock.close()
        for descriptor in (*self.kicks, *self.calls):
            os.close(descriptor)
        self.kicks = self.calls = []
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def untouched(self) -> bool:
        """Whether all that lies around the guest's memory is as it was."""
        return self.whole[:GUARD] == self.guard and self.whole[GUARD + SIZE :] == self.guard

    def send(
        self, request: int, payload: bytes = b"", files: tuple[int, ...] = (), flags: int = 1
    ) -> None:
        """Sends a message."""
        data = messages.HEADER.pack(request, flags, len(payload)) + payload
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        self.sock.sendmsg([data], rights)

    def answer(self) -> bytes:
        """The payload of the next answer; raises EOFError if the back end has ended the visit."""
        head = self._exactly(messages.HEADER.size)
        _, flags, size = messages.HEADER.unpack(head)
        assert flags == 5
        return self._exactly(size)

    def ask(self, request: int, payload: bytes = b"") -> bytes:
        """Sends a question and takes its answer."""
        self.send(request, payload)
        return self.answer()

    def order(self, request: int, payload: bytes = b"", files: tuple[int, ...] = ()) -> None:
        """Sends an order and waits until it is done."""
        self.send(request, payload, files, flags=9)
        assert self.answer() == messages.U64.pack(0)

    def greet(self) -> int:
        """What QEMU says when it starts; the guest's CID."""
        self.ask(Request.GET_FEATURES)
        self.ask(Request.GET_PROTOCOL_FEATURES)
        self.send(Request.SET_PROTOCOL_FEATURES, messages.U64.pack(0x208))
        self.send(Request.SET_OWNER)
        for index in (0, 1):
            self.send(Request.SET_VRING_CALL, messages.U64.pack(index), (self.calls[index],))
        answer = self.ask(Request.GET_CONFIG, messages.CONFIG.pack(0, 8, 0) + bytes(8))
        return int.from_bytes(answer[messages.CONFIG.size :], "little")

    def table(self) -> bytes:
        """The payload that states the memory."""
        return messages.TABLE.pack(1, 0) + messages.REGION.pack(BASE, SIZE, USER, GUARD)

    def begin(self) -> None:
        """What QEMU says when the guest's driver is there."""
        self.send(Request.SET_FEATURES, messages.U64.pack(self.features))
        self.send(Request.SET_MEM_TABLE, self.table(), (self.file,))
        for index, queue in enumerate(self.queues):
            state = messages.STATE
            self.send(Request.SET_VRING_NUM, state.pack(index, ENTRIES))
            self.send(Request.SET_VRING_BASE, state.pack(index, queue.base))
            self.send(Request.SET_VRING_ADDR, queue.address())
            self.send(Request.SET_VRING_KICK, messages.U64.pack(index), (self.kicks[index],))
        self.send(Request.SET_VRING_ENABLE, messages.STATE.pack(0, 1))
        self.order(Request.SET_VRING_ENABLE, messages.STATE.pack(1, 1))

    def end(self) -> None:
        """What QEMU says when the guest's driver goes."""
        for index, queue in enumerate(self.queues):
            answer = self.ask(Request.GET_VRING_BASE, messages.STATE.pack(index, 0))
            queue.base = messages.STATE.unpack(answer)[1]

    def kick(self, index: int) -> None:
        """Tells the back end to look at a ring."""
        os.eventfd_write(self.kicks[index], 1)

    def called(self, timeout: float) -> bool:
        """Waits for an interrupt, of either ring."""
        if self.turn is not None:
            self.turn()
            timeout = 0
        ready = select.select(self.calls, [], [], timeout)[0]
        for descriptor in ready:
            os.eventfd_read(descriptor)
        return bool(ready)

    def _exactly(self, size: int) -> bytes:
        data, idle = b"", 0
        while len(data) < size:
            if self.turn is not None:
                self.turn()
            try:
                part = self.sock.recv(size - len(data))
            except ConnectionResetError:
                part = b""
            except BlockingIOError:
                idle += 1
                assert idle < 50, "the back end does not answer"
                continue
            if not part:
                raise EOFError
            data += part
        return data


class Queue:
    """The driver's side of one ring."""

    def __init__(self, front: Front, index: int) -> None:
        self.memory = front.memory
        self.index = index
        self.base = 0
        self.at = RINGS[index]
        self.available = self.memory[self.at + 0x1000 : self.at + 0x2000].cast("H")
        self.used = self.memory[self.at + 0x2000 : self.at + 0x3000]
        self.used_index = self.used.cast("H")
        self.used_entries = self.used.cast("I")
        self.made = 0
        self.seen = 0
        self.reset()

    def reset(self) -> None:
        """A driver that begins anew."""
        self.memory[self.at : self.at + 0x3000] = bytes(0x3000)
        self.base = self.made = self.seen = 0
        self.free = list(range(ENTRIES))
        self.chains: dict[int, list[int]] = {}

    def address(self) -> bytes:
        """The payload that states where it is."""
        user = USER + self.at
        return messages.ADDRESS.pack(self.index, 0, user, user + 0x2000, user + 0x1000, 0)

    def describe(
        self, number: int, address: int, length: int, flags: int, following: int = 0
    ) -> None:
        """Writes one descriptor."""
        struct.pack_into(
            "<QIHH", self.memory, self.at + 16 * number, address, length, flags, following
        )

    def offer(self, head: int) -> None:
        """Makes a chain available."""
        self.available[2 + self.made % ENTRIES] = head
        self.made = (self.made + 1) & 0xFFFF
        self.available[1] = self.made

    def add(self, parts: list[tuple[int, int]], *, flags: int = 0, indirect: bool = False) -> int:
        """Offers buffers, each an address and a length, as one chain or one table; gives its head."""
        if indirect:
            (head,) = numbers = [self.free.pop()]
            table = TABLES + 0x8000 * self.index + 0x100 * head
            for place, (address, length) in enumerate(parts):
                last = place == len(parts) - 1
                struct.pack_into(
                    *("<QIHH", self.memory, table + 16 * place, address, length),
                    *(flags | (0 if last else NEXT), place + 1),
                )
            self.describe(head, BASE + table, 16 * len(parts), INDIRECT)
        else:
            numbers = [self.free.pop() for _ in parts]
            for place, (address, length) in enumerate(parts):
                last = place == len(parts) - 1
                following = 0 if last else numbers[place + 1]
                self.describe(
                    numbers[place], address, length, flags | (0 if last else NEXT), following
                )
        self.chains[numbers[0]] = numbers
        self.offer(numbers[0])
        return numbers[0]

    def reap(self) -> list[tuple[int, int]]:
        """Chains that came back: head and written length."""
        found = []
        while self.seen != self.used_index[1]:
            at = 1 + 2 * (self.seen % ENTRIES)
            head, written = self.used_entries[at], self.used_entries[at + 1]
            self.free += self.chains.pop(head)
            found.append((head, written))
            self.seen = (self.seen + 1) & 0xFFFF
        return found
