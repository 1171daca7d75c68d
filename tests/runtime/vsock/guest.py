"""A guest that keeps the rules: streams over the rings, with credit as Linux's driver handles it."""

import time
from collections import deque
from collections.abc import Callable

from tests.runtime.vsock.front import BASE, BUFFERS, WRITE, Front

from troth.runtime.vsock import GUEST_CID, Vsock
from troth.runtime.vsock.device import Device
from troth.runtime.vsock.packets import HEADER, STREAM, Header, Op

RX, TX = 0, 1
ROOM = 1 << 18
RX_LENGTH = 4096 - 320  # what Linux has in a page for header and bytes
RX_COUNT = 64
TX_COUNT = 16
TX_LENGTH = (1 << 16) + HEADER.size + 20
_TX_BUFFERS = BUFFERS + RX_COUNT * 4096
PATIENCE = 20.0


def soon(condition: Callable[[], bool]) -> None:
    """Waits until something is so in the back end's thread."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.01)


def raw(**changed: int) -> Header:
    """A header that says what it is told to."""
    fields = {
        "src_cid": GUEST_CID,
        "dst_cid": 3,
        "src_port": 77,
        "dst_port": 5,
        "length": 0,
        "type": 1,
        "op": Op.RW,
        "flags": 0,
        "buf_alloc": 1 << 18,
        "fwd_cnt": 0,
    }
    return Header(**(fields | changed))


def device_of(vsock: Vsock) -> Device:
    """What is in the back end's thread."""
    assert vsock._backend is not None
    return vsock._backend.device


class Refused(Exception):  # noqa: N818 - what it is, in the protocol's word
    """The host answered with RST."""


class GuestStream:
    """The guest's end of a stream."""

    def __init__(self, guest: "Guest", port: int, cid: int, peer: int) -> None:
        self.guest, self.port, self.cid, self.peer = guest, port, cid, peer
        self.inbox = bytearray()
        self.open = self.reset = False
        self.room = ROOM
        self.received = self.forwarded = self.told = 0
        self.sent = self.peer_room = self.peer_forwarded = 0
        self.peer_shut = 0

    def credit(self) -> int:
        return self.peer_room - ((self.sent - self.peer_forwarded) & 0xFFFF_FFFF)

    def say(self, op: Op, data: bytes = b"", flags: int = 0) -> None:
        self.told = self.forwarded
        self.guest.put(
            Header(
                *(self.guest.cid, self.cid, self.port, self.peer, len(data), STREAM, op, flags),
                *(self.room, self.forwarded),
            ),
            data,
        )

    def send(self, data: bytes, most: int = 1 << 16) -> None:
        """Sends all of it, in packets as large as credit allows."""
        at = 0
        while at < len(data):
            self.guest.until(lambda: self.credit() > 0 or self.reset, "credit")
            if self.reset:
                raise Refused
            part = data[at : at + min(self.credit(), most)]
            self.sent += len(part)
            self.say(Op.RW, part)
            at += len(part)

    def fill(self, data: bytes) -> int:
        """Sends as much as there is credit for, until no more comes; how much that was."""
        at = 0
        while at < len(data):
            try:
                self.guest.until(lambda: self.credit() > 0, "credit", patience=0.3)
            except TimeoutError:
                break
            size = min(self.credit(), len(data) - at)
            self.send(data[at : at + size])
            at += size
        return at

    def take(self, most: int = 1 << 30) -> bytes:
        """Some bytes; none at the end."""
        self.guest.until(lambda: self.inbox or self.peer_shut & 2 or self.reset, "bytes")
        data = bytes(self.inbox[:most])
        del self.inbox[: len(data)]
        self.forwarded = (self.forwarded + len(data)) & 0xFFFF_FFFF
        news = (self.forwarded - self.told) & 0xFFFF_FFFF
        if news and self.room - news < 1 << 16:
            self.say(Op.CREDIT_UPDATE)
        return data

    def take_all(self) -> bytes:
        data = bytearray()
        while part := self.take():
            data += part
        return bytes(data)

    def exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self.take(size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def shut(self, flags: int) -> None:
        self.say(Op.SHUTDOWN, flags=flags)

    def close(self) -> None:
        """As close() does it: nothing more either way, then the host's RST."""
        self.shut(3)
        self.guest.until(lambda: self.reset, "RST")


class Guest:
    """A guest that has come up."""

    def __init__(self, front: Front, *, indirect: bool = False, split: int = 0) -> None:
        self.front = front
        self.indirect, self.split = indirect, split
        self.streams: dict[tuple[int, int, int], GuestStream] = {}
        self.listening: set[int] = set()
        self.accepted: deque[GuestStream] = deque()
        self.heard: list[Header] = []
        self.packets = 0
        self._port = 1000
        self.hungry = True  # whether rx buffers are given back
        self.cid = self.front.greet()
        self.up()

    def up(self) -> None:
        """The driver comes up."""
        for queue in self.front.queues:
            queue.reset()
        self._came: deque[bytes] = deque()
        self._rx: dict[int, int] = {}
        self._spare_rx = [BUFFERS + 4096 * i for i in range(RX_COUNT)]
        self._tx: dict[int, int] = {}
        self._spare_tx = [_TX_BUFFERS + TX_LENGTH * i for i in range(TX_COUNT)]
        self.front.begin()
        self._feed()

    def close(self) -> None:
        self.front.close()

    def connect(self, port: int, cid: int = 3) -> GuestStream:
        """A stream to a port of the host's."""
        self._port += 1
        stream = GuestStream(self, self._port, cid, port)
        self.streams[self._port, cid, port] = stream
        stream.say(Op.REQUEST)
        self.until(lambda: stream.open or stream.reset, "RESPONSE")
        if stream.reset:
            raise Refused
        return stream

    def accept(self) -> GuestStream:
        """The next stream that the host began."""
        self.until(lambda: bool(self.accepted), "REQUEST")
        return self.accepted.popleft()

    def put(self, header: Header, data: bytes = b"") -> None:
        """Puts a packet on the ring, whatever it says."""
        self.until(lambda: bool(self._spare_tx), "a buffer")
        at = self._spare_tx.pop()
        memory = self.front.memory
        memory[at : at + HEADER.size] = header.pack()
        memory[at + HEADER.size : at + HEADER.size + len(data)] = data
        parts = [(BASE + at, HEADER.size)]
        step = self.split or len(data) or 1
        for begin in range(0, len(data), step):
            length = min(step, len(data) - begin)
            parts.append((BASE + at + HEADER.size + begin, length))
        self._tx[self.front.queues[TX].add(parts, indirect=self.indirect)] = at
        self.front.kick(TX)

    def until(self, done: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
        """Works until something is so."""
        end = time.monotonic() + patience
        self.work(0)
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"waited for {what}")
            self.work(min(1.0, patience))

    def work(self, timeout: float) -> None:
        """Handles what has come, waiting for something if there is nothing."""
        if not self._reap() and timeout and self.front.called(timeout):
            self._reap()

    def _reap(self) -> bool:
        done = self.front.queues[TX].reap()
        for head, _ in done:
            self._spare_tx.append(self._tx.pop(head))
        came = self.front.queues[RX].reap() if self.hungry else []
        for head, written in came:
            at = self._rx.pop(head)
            self._came.append(bytes(self.front.memory[at : at + written]))
            self._spare_rx.append(at)
        if came:
            self._feed()
        # Handling one may come here again; each packet is still handled once, in its turn.
        while self._came:
            data = self._came.popleft()
            self._packet(Header.unpack(data[: HEADER.size]), data[HEADER.size :])
        return bool(done or came)

    def _feed(self) -> None:
        if not self._spare_rx:
            return
        while self._spare_rx:
            at = self._spare_rx.pop()
            parts = [(BASE + at, RX_LENGTH)]
            self._rx[self.front.queues[RX].add(parts, flags=WRITE, indirect=self.indirect)] = at
        self.front.kick(RX)

    def _packet(self, header: Header, data: bytes) -> None:
        self.packets += 1
        assert header.length == len(data)
        assert header.dst_cid == self.cid
        if len(self.heard) < 10_000:
            self.heard.append(header)
        key = (header.dst_port, header.src_cid, header.src_port)
        stream = self.streams.get(key)
        if stream is None and header.op == Op.REQUEST and header.dst_port in self.listening:
            stream = self.streams[key] = GuestStream(self, *key)
            stream.open = True
            stream.peer_room, stream.peer_forwarded = header.buf_alloc, header.fwd_cnt
            stream.say(Op.RESPONSE)
            self.accepted.append(stream)
            return
        if stream is None:
            if header.op != Op.RST:
                GuestStream(self, *key).say(Op.RST)
            return
        stream.peer_room, stream.peer_forwarded = header.buf_alloc, header.fwd_cnt
        if header.op == Op.RESPONSE:
            stream.open = True
        elif header.op == Op.RST:
            stream.reset = True
            del self.streams[key]
        elif header.op == Op.RW:
            stream.received += len(data)
            assert stream.received - stream.forwarded <= stream.room, "more than its credit"
            assert data, "an empty packet"
            stream.inbox += data
        elif header.op == Op.SHUTDOWN:
            stream.peer_shut |= header.flags
        elif header.op == Op.CREDIT_REQUEST:
            stream.say(Op.CREDIT_UPDATE)
