"""What a hostile guest, front end or program of the host's does, step by step, out of bytes.

A script is a string of records: the first says whether the device is set up before all else, each other
one is a step and the numbers for it.
"""

import contextlib
import random
import socket
import struct
from collections.abc import Callable
from functools import partial

from tests.runtime.vsock.front import (
    BASE,
    BUFFERS,
    ENTRIES,
    GUARD,
    INDIRECT,
    NEXT,
    RINGS,
    SIZE,
    USER,
    WRITE,
)

from fuzz.hostile import CID, NOBODY, STUCK, TAKES, Rig
from fuzz.target import must
from troth.runtime.vsock import messages
from troth.runtime.vsock.messages import Request
from troth.runtime.vsock.packets import HEADER, Header
from troth.runtime.vsock.streams import ROOM

RECORD = 40  # bytes of a script for one step
_BARE = 64  # a step that needs no more than a connection, should there be none
_REQUESTS = tuple(Request)
_NUMBERS = (
    *(0, 1, 2, 3, 4, 15, 16, 17, 43, 44, 45, 127, 128, 129, 1023, 1024, 1025, 4095, 4096, 4097),
    *(0x7FFF, 0x8000, 0xFFFF, 0x10000, ROOM - 1, ROOM, ROOM + 1, SIZE - 1, SIZE, SIZE + 1),
    *(
        BASE - 1,
        BASE,
        BASE + 1,
        BASE + BUFFERS,
        BASE + SIZE - 4096,
        BASE + SIZE - 45,
        BASE + SIZE - 1,
    ),
    *(
        BASE + SIZE,
        BASE - GUARD,
        BASE + SIZE + GUARD - 1,
        USER - 1,
        USER,
        USER + 0x4000,
        USER + SIZE,
    ),
    *(0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 63, (1 << 64) - 4096, (1 << 64) - 1),
)
_FEATURES = (1 << 32 | 1 << 30 | 1 << 28, 1 << 30 | 1 << 28, 1 << 32, 1 << 32 | 1 << 28, 0)
_OPS = (1, 1, 1, 1, 5, 5, 5, 5, 5, 5, 5, 5, 5, 2, 2, 3, 4, 6, 7, 0)
_LINES = (
    b"CONNECT 5\n",
    b"CONNECT 5\n",
    b"CONNECT 4294967295\n",
    b"CONNECT 5",
    b"connect 5\n",
    b"\n",
    b"CONNECT 5\nmore",
)


class Script:
    """The numbers of one step, out of bytes; all of them are 0 when the bytes are used up."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        """So many bytes, or what is left of them."""
        self.at += size
        return self.data[self.at - size : self.at]

    def byte(self) -> int:
        """A number below 256."""
        return int.from_bytes(self.take(1), "little")

    def number(self) -> int:
        """A number of up to 64 bits: mostly one at an edge of something."""
        kind = self.byte()
        if kind < 160:
            return _NUMBERS[kind % len(_NUMBERS)]
        if kind < 200:
            return BASE + int.from_bytes(self.take(3), "little") % (SIZE + 64)
        return int.from_bytes(self.take(1 + kind % 8), "little")


def _files(rig: Rig, script: Script) -> tuple[int, ...]:
    count = (0, 0, 1, 1, 1, 2, 3, 8)[script.byte() % 8]
    return tuple(rig.files[script.byte() % len(rig.files)] for _ in range(count))


def _up(rig: Rig, script: Script) -> None:
    """Everything by the rules, so that what follows comes further."""
    rig.connect()
    rig.front.features = _FEATURES[script.byte() % len(_FEATURES)]
    for queue in rig.front.queues:
        queue.reset()
    must(rig.front.greet() == CID, "the guest has another CID")
    rig.front.begin()


def _raw(rig: Rig, script: Script) -> None:
    """Any message."""
    flags = (1, 1, 9, 0, 5, 2, 0xFFFF_FFFF, 3)[script.byte() % 8]
    request = script.byte() % 48
    rig.send(request, script.take(script.byte()), _files(rig, script), flags)


def _half(rig: Rig, script: Script) -> None:
    """Bytes that need not be a message."""
    rig.messages += 1
    rig.front.sock.send(script.take(script.byte()))
    rig.turn(2)


def _known(rig: Rig, script: Script) -> None:
    """A message of a right form, with numbers from anywhere."""
    request = _REQUESTS[script.byte() % len(_REQUESTS)]
    ring = script.byte()
    index = ring % 2 if ring < 240 else ring
    mask = (1 << 32) - 1
    if request == Request.SET_VRING_ADDR:
        numbers = [script.number() for _ in range(4)]
        payload = messages.ADDRESS.pack(index, script.byte() // 250, *numbers)
    elif request is Request.SET_MEM_TABLE:
        _table(rig, script)
        return
    elif request is Request.GET_CONFIG:
        payload = messages.CONFIG.pack(script.number() & mask, 8, 0) + bytes(8)
    elif request.name.endswith(("KICK", "CALL", "ERR")):
        payload = messages.U64.pack(index | script.byte() // 200 << 8)
    elif request.name.endswith("FEATURES") and request.name.startswith("SET"):
        payload = messages.U64.pack((*_FEATURES, 0x208, script.number())[script.byte() % 7])
    elif request.name.startswith("GET_VRING") or request.name.startswith("SET_VRING"):
        payload = messages.STATE.pack(index, script.number() & mask)
    else:
        payload = b""
    rig.send(request, payload, _files(rig, script), 9 if script.byte() % 2 else 1)


def _table(rig: Rig, script: Script) -> None:
    """A table of memory, whose regions are a little or wholly wrong, or another part of it."""
    count = 1 + script.byte() % 3
    body, files = b"", []
    for _ in range(count):
        kind = script.byte()
        number = script.number() & ~0xFFF if kind & 1 else script.number()
        region = [BASE, SIZE, USER, GUARD]
        region[kind // 2 % 4] = number
        if kind & 8:
            region[kind // 16 % 4] = (BASE + SIZE, 4096, USER + SIZE, 2 * GUARD)[kind // 16 % 4]
        _, size, _, offset = region
        file = rig.files[script.byte() % len(rig.files)]
        # What lies around the guest's memory is not to become a part of it.
        if file == rig.front.file and not GUARD <= offset <= offset + size <= GUARD + SIZE:
            file = rig.spare
        body += messages.REGION.pack(*region)
        files.append(file)
    rig.send(Request.SET_MEM_TABLE, messages.TABLE.pack(count, 0) + body, tuple(files))


def _descriptor(rig: Rig, script: Script) -> None:
    """A descriptor that says anything, and its number made available."""
    queue = rig.front.queues[script.byte() % 2]
    number = script.byte() % ENTRIES
    flags = (0, WRITE, NEXT, NEXT | WRITE, INDIRECT, INDIRECT | NEXT, 8, 0xFFFF)
    queue.describe(
        *(number, script.number(), script.number() & 0xFFFF_FFFF),
        *(flags[script.byte() % 8], script.byte() % (ENTRIES + 2)),
    )
    if script.byte() % 4:
        rig.messages += 1
        queue.offer(number)
        rig.front.kick(queue.index)
        rig.turn(1)


def _indirect(rig: Rig, script: Script) -> None:
    """A table of descriptors, which may say anything."""
    queue = rig.front.queues[script.byte() % 2]
    at = 0x8000 + 0x100 * (script.byte() % 64)
    for place in range(script.byte() % 8):
        flags = (0, WRITE, NEXT, NEXT | WRITE, INDIRECT)[script.byte() % 5]
        struct.pack_into(
            *("<QIHH", rig.front.memory, at + 16 * place, script.number()),
            *(script.number() & 0xFFFF_FFFF, flags, script.byte() % 10),
        )
    queue.describe(script.byte() % ENTRIES, BASE + at, 16 * (script.byte() % 9), INDIRECT)


def _available(rig: Rig, script: Script) -> None:
    """The index of available chains jumps."""
    queue = rig.front.queues[script.byte() % 2]
    rig.messages += 1
    queue.available[1] = script.number() & 0xFFFF
    rig.front.kick(queue.index)
    rig.turn(1)


def _scribble(rig: Rig, script: Script) -> None:
    """Bytes over the rings."""
    at = RINGS[script.byte() % 2] + (script.number() % 0x3000)
    data = script.take(script.byte())
    rig.messages += 1
    rig.front.memory[at : at + len(data)] = data
    rig.front.kick(script.byte() % 2)
    rig.turn(1)


def _packet(rig: Rig, script: Script) -> None:
    """A packet that is a chain by the rules, and says anything."""
    queue = rig.queue(1)
    small = (1 << 32) - 1
    length = (0, 1, 44, 300, 4096, 20000, 65536, 65537)[script.byte() % 8]
    op = _OPS[script.byte() % len(_OPS)] or script.byte()
    length = length if op == 5 or script.byte() > 240 else 0
    ours, theirs = (
        1000 + script.byte() % 3,
        (TAKES, TAKES, TAKES, STUCK, NOBODY)[script.byte() % 5],
    )
    cid = 3
    live = list(rig.backend.device._streams)  # noqa: SLF001
    if live and op != 1 and script.byte() < 220:
        cid, theirs, ours = live[script.byte() % len(live)]
    header = Header(
        src_cid=CID if script.byte() < 252 else script.number(),
        dst_cid=cid if script.byte() < 240 else script.number(),
        src_port=ours if script.byte() < 240 else script.number() & small,
        dst_port=theirs if script.byte() < 240 else script.number() & small,
        length=length if script.byte() < 245 else script.number() & small,
        type=1 if script.byte() < 245 else script.byte(),
        op=op,
        flags=script.byte() % 5,
        buf_alloc=(ROOM, ROOM, script.number() & small)[script.byte() % 3],
        fwd_cnt=(0, 0, script.number() & small)[script.byte() % 3],
    )
    at = BUFFERS + 0x10_0000 + (script.byte() % 16) * 0x1_1000
    rig.front.memory[at : at + HEADER.size] = header.pack()
    parts = [(BASE + at, HEADER.size)]
    if length:
        parts.append((BASE + at + HEADER.size, length))
    rig.messages += 1
    queue.add(parts)
    rig.front.kick(1)
    rig.turn(1)


def _buffers(rig: Rig, script: Script) -> None:
    """Buffers for packets to the guest, of odd sizes here and there."""
    queue = rig.queue(0)
    kind = script.byte()
    length = (3776, 4096, 45, 65536)[kind % 4] if kind < 248 else kind % 8 * 9
    for _ in range(script.byte() % 32):
        at = BUFFERS + 4096 * (script.byte() % 128)
        queue.add([(BASE + at, length)], flags=WRITE)
    rig.front.kick(0)
    rig.turn(1)


def _knock(rig: Rig, script: Script) -> None:
    """Somebody of the host's at the door, with a line or something else."""
    if len(rig.friends) < 16:
        friend = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        rig.friends.append(friend)
        friend.connect(str(rig.uds))
        friend.send(_LINES[script.byte() % len(_LINES)])
        rig.turn(2)


def _friend(rig: Rig, script: Script) -> None:
    """A program of the host's takes a connection, reads, writes, or goes."""
    with contextlib.suppress(BlockingIOError):
        while len(rig.friends) < 16:
            sock = rig.takes.accept()[0]
            sock.setblocking(False)
            rig.friends.append(sock)
    if not rig.friends:
        return
    place = script.byte() % len(rig.friends)
    friend = rig.friends[place]
    does = script.byte() % 5
    if does == 0:
        rig.friends.pop(place).close()
    elif does == 1:
        friend.shutdown(script.byte() % 3)
    elif does == 2:
        friend.send(bytes(script.number() % 100_000))
    else:
        rig.told(friend.recv(1 << 17))
    rig.turn(2)


STEPS: tuple[Callable[[Rig, Script], None], ...] = (
    *(_packet, _buffers, _friend, _knock),
    *(_descriptor, _indirect, _available, _scribble),
    *(_known, _table, _raw, _half, _up),
)
_PACKETS = (0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3)
_RINGS = (*_PACKETS, 4, 4, 5, 6, 7)
_MESSAGES = (0, 1, 8, 8, 8, 8, 9, 9, 10, 10, 11, 12)
_MOODS = (_PACKETS, _PACKETS, _RINGS, _MESSAGES, range(len(STEPS)))


def script(draw: random.Random) -> bytes:
    """A script: of packets alone, of rings as well, of messages, or of everything."""
    mood = draw.choice(_MOODS)
    steps = [draw.choice(mood) for _ in range(draw.choice((4, 20, 60, 100)))]
    up = mood is not _MESSAGES or draw.random() < 0.5
    if mood is _MESSAGES:
        steps = [step | draw.choice((0, _BARE, _BARE)) for step in steps]
    return b"".join(bytes([step]) + draw.randbytes(RECORD - 1) for step in (up, *steps))


def play(rig: Rig, data: bytes) -> None:
    """Plays a script.

    Raises:
        Broken: something is not as it must be.
    """
    rig.play(partial(_step, rig, data[at : at + RECORD], at) for at in range(0, len(data), RECORD))


def _step(rig: Rig, record: bytes, at: int) -> None:
    script = Script(record)
    number = script.byte()
    if not at and number % 2:
        _up(rig, script)
        return
    if rig.backend.session is None:
        rig.connect() if number & _BARE else _up(rig, script)
    STEPS[number % _BARE % len(STEPS)](rig, script)
