"""The vsock device: packets out of the guest's ring to sockets of the host, and the other way.

Whatever the guest sends, it gets at most `MOST_STREAMS` sockets with at most `streams.ROOM` bytes waiting
in each, and nothing else of it is kept.
"""

import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from troth.errors import Malformed
from troth.runtime.vsock.loop import HUP, IN, OUT, Loop
from troth.runtime.vsock.packets import HEADER, NO_SEND, NOTHING_MORE, STREAM, Header, Op
from troth.runtime.vsock.ring import Chain, Ring
from troth.runtime.vsock.streams import Key, State, Stream

# The host as the guest calls it where the host calls first: the parent of a Nitro enclave.
HOST_CID: Final = 3
MOST_STREAMS: Final = 256
ANSWER_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 30.0
_MOST_RESETS: Final = 1024
_TURN: Final = 64
_FIRST_PORT: Final = 1 << 30
_PORTS: Final = 1 << 30


class Device:
    """The device of one guest.

    Args:
        loop: where its sockets are watched.
        cid: the guest's.
        dial: connects to a port of the host's, without blocking; None if nobody is there.
    """

    def __init__(
        self, loop: Loop, *, cid: int, dial: Callable[[int], socket.socket | None]
    ) -> None:
        self.rx: Ring | None = None
        self.tx: Ring | None = None
        self.ignored = 0
        self._loop = loop
        self._cid = cid
        self._dial = dial
        self._streams: dict[Key, Stream] = {}
        self._draining: set[Stream] = set()
        self._touched: dict[Stream, None] = {}
        self._owing: dict[Stream, None] = {}
        self._ready: dict[Stream, None] = {}
        self._resets: dict[tuple[Key, int], None] = {}
        self._deadlines: dict[Stream, float] = {}
        self._port = 0

    def count(self) -> int:
        """How many sockets the guest has."""
        return len(self._streams) + len(self._draining)

    def full(self) -> bool:
        """Whether the guest may have no more."""
        return self.count() >= MOST_STREAMS

    def running(self) -> bool:
        """Whether a guest is there to talk to."""
        return self.rx is not None and self.tx is not None

    def stop(self) -> None:
        """The guest is gone, or begins anew: no stream of its outlives that."""
        self.rx = self.tx = None
        for stream in (*self._streams.values(), *self._draining):
            self._end(stream)
        self._resets.clear()
        self._touched.clear()

    def connect(self, port: int, sock: socket.socket) -> None:
        """Asks the guest for a stream to one of its ports; the socket hears `OK` when it is there.

        There must be a guest, and room.
        """
        while True:
            self._port = (self._port + 1) % _PORTS
            key = Key(HOST_CID, _FIRST_PORT + self._port, port)
            if key not in self._streams:
                break
        self._begin(key, sock, State.ASKED)

    def wait(self) -> float | None:
        """Seconds until something is too late; None if nothing will be."""
        if not self._deadlines:
            return None
        return max(0.0, min(self._deadlines.values()) - time.monotonic())

    def pump(self) -> bool:
        """Moves what can be moved now, up to a share that leaves others their turn.

        Returns:
            Whether there is more.

        Raises:
            Malformed: a ring is broken; it can't go on.
        """
        self._expire()
        more = self._take()
        more = self._give() or more
        touched, self._touched = self._touched, {}
        for stream in touched:
            self._watch(stream)
        return more

    # From the guest

    def _take(self) -> bool:
        if self.tx is None or self.rx is None:
            return False
        for _ in range(_TURN):
            chain = self.tx.peek()
            if chain is None:
                return False
            self._packet(chain)
            self.tx.push(0)
        return True

    def _packet(self, chain: Chain) -> None:
        if chain.total < HEADER.size:
            self.ignored += 1
            return
        header = Header.unpack(_head(chain.views))
        if header.src_cid != self._cid:
            self.ignored += 1
            return
        key = Key(header.dst_cid, header.dst_port, header.src_port)
        if header.type != STREAM:
            self._refuse(key, header)
            return
        stream = self._streams.get(key)
        if stream is None:
            self._stranger(key, header)
            return
        stream.hear(header)
        self._touched[stream] = None
        if self._known(stream, header, chain):
            self._settle(stream)
        else:
            self._reset(stream)

    def _stranger(self, key: Key, header: Header) -> None:
        if header.op != Op.REQUEST or self.full():
            self._refuse(key, header)
            return
        sock = self._dial(key.port)
        if sock is None:
            self._refuse(key, header)
            return
        self._begin(key, sock, State.OPEN).hear(header)

    def _known(self, stream: Stream, header: Header, chain: Chain) -> bool:
        """Does what the packet says; whether it may say so."""
        op = header.op
        if op == Op.RW:
            if stream.state is not State.OPEN or chain.total != HEADER.size + header.length:
                return False
            return not stream.guest_shut & NO_SEND and stream.accept(
                _behind(chain.views), header.length
            )
        if header.length:
            return False
        if op == Op.RST:
            self._end(stream)
            return True
        if stream.state is State.ASKED:
            return op == Op.RESPONSE and self._answered(stream)
        if op == Op.SHUTDOWN:
            stream.shut(header.flags)
            if stream.guest_shut == NOTHING_MORE:
                self._part(stream)
            return True
        if op == Op.CREDIT_REQUEST:
            stream.owes_credit = True
            return True
        return op == Op.CREDIT_UPDATE

    def _answered(self, stream: Stream) -> bool:
        stream.state = State.OPEN
        self._deadlines.pop(stream, None)
        try:
            stream.sock.send(b"OK %d\n" % stream.key.port, socket.MSG_NOSIGNAL)
        except OSError:
            return False  # whoever asked is gone
        return True

    def _refuse(self, key: Key, header: Header) -> None:
        if header.op != Op.RST:
            self._owe_reset(key, header.type)

    def _owe_reset(self, key: Key, kind: int) -> None:
        """Owes a RST. A guest that does not fetch so many has lost count, and the rest of them."""
        if len(self._resets) < _MOST_RESETS:
            self._resets[key, kind] = None

    # To the guest

    def _give(self) -> bool:
        ring = self.rx
        if ring is None:
            return False
        for _ in range(_TURN):
            if not (self._resets or self._owing or self._ready):
                return False
            chain = ring.peek()
            if chain is None:
                return False
            if chain.total <= HEADER.size:
                raise Malformed(f"{chain.total} bytes for a packet", field="buffer")
            self._next(ring, chain)
        return True

    def _next(self, ring: Ring, chain: Chain) -> None:
        if self._resets:
            key, kind = next(iter(self._resets))
            del self._resets[key, kind]
            header = Header(key.cid, self._cid, key.port, key.peer, 0, kind, Op.RST, 0, 0, 0)
            _write(chain.views, header.pack())
            ring.push(HEADER.size)
            return
        if self._owing:
            stream = next(iter(self._owing))
            _write(chain.views, stream.say(self._cid).pack())
            ring.push(HEADER.size)
            if not stream.owes():
                del self._owing[stream]
            self._touched[stream] = None
            return
        stream = next(iter(self._ready))
        del self._ready[stream]
        self._touched[stream] = None
        self._bytes(stream, ring, chain)

    def _bytes(self, stream: Stream, ring: Ring, chain: Chain) -> None:
        credit = stream.credit()
        if not credit:
            stream.starve()
        if stream.starved or stream.ended:
            self._settle(stream)
            return
        room = min(credit, chain.total - HEADER.size)
        count = stream.read(_behind(chain.views, room))
        if count:
            header = stream.header(self._cid, Op.RW, length=count)
            _write(chain.views, header.pack())
            ring.push(HEADER.size + count)
            if count == room:
                self._ready[stream] = None  # at the end: each stream in its turn
        else:
            self._settle(stream)

    # Streams

    def _begin(self, key: Key, sock: socket.socket, state: State) -> Stream:
        stream = self._streams[key] = Stream(key, sock, state)
        self._owing[stream] = self._touched[stream] = None
        if state is State.ASKED:
            self._deadlines[stream] = time.monotonic() + ANSWER_SECONDS
        return stream

    def _settle(self, stream: Stream) -> None:
        """What follows from what has just been seen of it."""
        self._touched[stream] = None
        if self._streams.get(stream.key) is not stream:
            return
        if stream.state is State.OPEN and stream.ended and stream.dead:
            stream.state = State.OVER
            self._deadlines[stream] = time.monotonic() + ANSWER_SECONDS
        if stream.owes():
            self._owing[stream] = None

    def _part(self, stream: Stream) -> None:
        """The guest is done and need not wait; what it sent still goes to the host."""
        self._owe_reset(stream.key, STREAM)
        if stream.buffer and not stream.dead:
            self._leave(stream)
            self._draining.add(stream)
            self._deadlines[stream] = time.monotonic() + DRAIN_SECONDS
        else:
            self._end(stream)

    def _reset(self, stream: Stream) -> None:
        self._owe_reset(stream.key, STREAM)
        self._end(stream)

    def _end(self, stream: Stream) -> None:
        self._leave(stream)
        self._draining.discard(stream)
        self._deadlines.pop(stream, None)
        stream.buffer.clear()
        stream.mask = None
        self._loop.dispose(stream.sock)

    def _leave(self, stream: Stream) -> None:
        # Its name may be another's by now, if this one was only draining.
        if self._streams.get(stream.key) is stream:
            del self._streams[stream.key]
        self._owing.pop(stream, None)
        self._ready.pop(stream, None)
        self._touched[stream] = None

    def _expire(self) -> None:
        if not self._deadlines:
            return
        now = time.monotonic()
        for stream in [one for one, when in self._deadlines.items() if when <= now]:
            if stream in self._draining:
                self._end(stream)
            else:
                self._reset(stream)

    def _watch(self, stream: Stream) -> None:
        """Has the loop watch for what could be used now, and for nothing else."""
        mask: int | None = None
        if stream in self._draining:
            mask = OUT
        elif stream.state is State.OPEN and self._streams.get(stream.key) is stream:
            reads = not (stream.ended or stream.starved)
            mask = (IN if reads and stream not in self._ready else 0) | (
                OUT if stream.buffer else 0
            )
            if not mask and not stream.ended:
                mask = None
        if mask == stream.mask:
            return
        if mask is None:
            self._loop.forget(stream.sock.fileno())
        else:
            self._loop.watch(stream.sock.fileno(), mask, lambda events: self._event(stream, events))
        stream.mask = mask

    def _event(self, stream: Stream, events: int) -> None:
        if events & (OUT | HUP) and stream.buffer:
            stream.flush()
        if stream in self._draining:
            if not stream.buffer:
                self._end(stream)
            return
        if events & HUP and stream.ended:
            stream.dead = True
            stream.flush()
        elif events & (IN | HUP) and not stream.ended and not stream.starved:
            self._ready[stream] = None
        self._settle(stream)


def _head(views: Sequence[memoryview]) -> bytes:
    if len(views[0]) >= HEADER.size:
        return bytes(views[0][: HEADER.size])
    data = bytearray()
    for view in views:
        data += view[: HEADER.size - len(data)]
    return bytes(data)


def _behind(views: Sequence[memoryview], most: int | None = None) -> list[memoryview]:
    """The buffers behind the header, cut to this many bytes."""
    skip, found = HEADER.size, []
    for view in views:
        part = view[skip:]
        skip = max(0, skip - len(view))
        if most is not None:
            part = part[:most]
            most -= len(part)
        if len(part):
            found.append(part)
    return found


def _write(views: Sequence[memoryview], data: bytes) -> None:
    for view in views:
        part = data[: len(view)]
        view[: len(part)] = part
        data = data[len(part) :]
        if not data:
            return
