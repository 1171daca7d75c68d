"""Credit to its limits both ways, and packets that fit whatever the guest gives for them."""

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runtime.vsock.front import BASE, BUFFERS, WRITE, Front
from tests.runtime.vsock.guest import RX_LENGTH, Guest, device_of, raw

from troth.runtime.vsock import Vsock, streams
from troth.runtime.vsock.packets import HEADER, Header, Op

Serve = Callable[[int], socket.socket]


def test_more_than_the_credit_ends_the_stream(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    assert stream.peer_room == streams.ROOM
    assert streams.ROOM < stream.fill(bytes(10_000_000)) < 10_000_000
    assert not stream.reset
    stream.say(Op.RW, b"one more")
    guest.until(lambda: stream.reset, "RST")
    host.close()


def test_a_buffer_keeps_bytes_and_not_packets(guest: Guest, vsock: Vsock, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    host.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    # Packets of a byte each would take minutes; it is the buffer that must not keep them one by one.
    stream.fill(bytes(10_000_000))
    (held,) = device_of(vsock)._streams.values()
    assert len(held.buffer) == streams.ROOM
    assert held.buffer.__sizeof__() < 1.3 * streams.ROOM


def test_a_question_for_credit_is_answered(guest: Guest, serve: Serve) -> None:
    serve(5)
    stream = guest.connect(5)
    stream.send(b"12345")
    stream.say(Op.CREDIT_REQUEST)
    guest.until(lambda: stream.peer_forwarded == 5, "CREDIT_UPDATE")
    assert guest.heard[-1].op == Op.CREDIT_UPDATE


@pytest.mark.parametrize("room", [1, 100, 3000, 70_000])
def test_a_guest_with_little_room_gets_all_of_it(guest: Guest, serve: Serve, room: int) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.room = room
    stream.say(Op.CREDIT_UPDATE)
    data = os.urandom(200 * min(room, 1000))
    threading.Thread(target=lambda: (host.sendall(data), host.close()), daemon=True).start()
    assert stream.take_all() == data


def test_a_guest_that_says_nothing_of_its_room_is_asked_once(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.room = 10_000
    stream.say(Op.CREDIT_UPDATE)
    data = os.urandom(50_000)
    threading.Thread(target=lambda: host.sendall(data), daemon=True).start()
    guest.until(lambda: any(h.op == Op.CREDIT_REQUEST for h in guest.heard), "CREDIT_REQUEST")
    for _ in range(5):
        guest.work(0.05)
    assert sum(h.op == Op.CREDIT_REQUEST for h in guest.heard) == 1
    assert stream.exactly(50_000) == data


def test_no_packet_is_a_sliver_while_more_waits(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.room = 10_000  # so that each little that it takes is told
    stream.say(Op.CREDIT_UPDATE)
    data = os.urandom(300_000)
    guest.work(0.1)
    threading.Thread(target=lambda: (host.sendall(data), host.close()), daemon=True).start()
    got = b""
    while len(got) < len(data):
        got += stream.take(777)
    assert got == data
    sizes = [header.length for header in guest.heard if header.op == Op.RW]
    assert max(sizes) == RX_LENGTH - HEADER.size
    assert sum(size < 1000 for size in sizes) < len(sizes) / 10


@pytest.mark.parametrize("lie", [1, 1 << 31, 0xFFFF_FFFF])
def test_a_guest_that_lies_of_what_it_took_harms_itself_alone(
    guest: Guest, serve: Serve, lie: int
) -> None:
    listener = serve(5)
    stream, other = guest.connect(5), guest.connect(5)
    one, two = listener.accept()[0], listener.accept()[0]
    guest.put(raw(src_port=stream.port, op=Op.CREDIT_UPDATE, fwd_cnt=lie, buf_alloc=0xFFFF_FFFF))
    one.sendall(bytes(1000))
    two.sendall(b"as ever")
    assert other.take() == b"as ever"


def test_a_buffer_that_holds_no_byte_breaks_the_ring(folder: Path, vsock: Vsock) -> None:
    front = Front(folder / "front")
    front.greet()
    front.begin()
    for queue in front.queues:
        queue.reset()
    front.queues[0].add([(BASE + BUFFERS, HEADER.size)], flags=WRITE)
    at = BUFFERS + 8192
    front.memory[at : at + HEADER.size] = raw().pack()
    front.queues[1].add([(BASE + at, HEADER.size)])
    front.kick(1)
    with pytest.raises(EOFError):
        front.answer()
    assert vsock.notes == ("the guest's rings: buffer: 44 bytes for a packet",)
    front.close()


@pytest.mark.parametrize("size", [45, 46, 100, 4096, 65_580, 200_000])
@pytest.mark.usefixtures("vsock")
def test_packets_fit_the_guests_buffers(folder: Path, serve: Serve, size: int) -> None:
    listener = serve(5)
    front = Front(folder / "front")
    front.greet()
    front.begin()
    rx, tx = front.queues
    for queue in front.queues:
        queue.reset()
    header = raw(op=Op.REQUEST)
    at = BUFFERS
    front.memory[at : at + HEADER.size] = header.pack()
    tx.add([(BASE + at, HEADER.size)])
    front.kick(1)
    host = listener.accept()[0]
    data = os.urandom(min(40 * (size - HEADER.size), 150_000))
    host.sendall(data)
    got, end = b"", time.monotonic() + 10
    place = BUFFERS + 4096
    while len(got) < len(data) and time.monotonic() < end:
        # Two descriptors, the first of which ends within the header.
        if not rx.chains:
            rx.add([(BASE + place, 10), (BASE + place + 4096, size - 10)], flags=WRITE)
        front.kick(0)
        front.called(1)
        for _, written in rx.reap():
            whole = bytes(front.memory[place : place + 10])
            whole += bytes(front.memory[place + 4096 : place + 4096 + written - 10])
            head = Header.unpack(whole[: HEADER.size])
            assert written == HEADER.size + head.length <= min(size, HEADER.size + (1 << 16))
            got += whole[HEADER.size :]
    assert got == data
    assert front.untouched()
    front.close()
