"""Packets against the rules, credit to its limits, and what a guest can make the host keep."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runtime.vsock.front import BASE, BUFFERS, WRITE, Front
from tests.runtime.vsock.guest import RX_LENGTH, Guest, GuestStream, Refused, soon

from troth.runtime.vsock import GUEST_CID, Vsock, device, streams
from troth.runtime.vsock.packets import HEADER, Header, Op

Serve = Callable[[int], socket.socket]


def _raw(**changed: int) -> Header:
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


def _resets(guest: Guest) -> int:
    return sum(header.op == Op.RST for header in guest.heard)


def _device(vsock: Vsock) -> device.Device:
    assert vsock._backend is not None
    return vsock._backend.device


@pytest.mark.parametrize("op", [0, 2, 4, 5, 6, 7, 8, 99, 0xFFFF])
def test_packets_of_no_stream_are_answered_with_a_reset(guest: Guest, op: int) -> None:
    guest.put(_raw(op=op))
    guest.until(lambda: bool(guest.heard), "RST")
    (reset,) = guest.heard
    assert (reset.op, reset.src_cid, reset.src_port, reset.dst_port) == (Op.RST, 3, 5, 77)


def test_a_reset_is_not_answered(guest: Guest) -> None:
    guest.put(_raw(op=Op.RST))
    guest.put(_raw(op=Op.RW, src_port=78))
    guest.until(lambda: bool(guest.heard), "RST")
    assert [header.dst_port for header in guest.heard] == [78]


def test_a_kind_that_is_not_offered_is_refused_in_its_own_kind(guest: Guest) -> None:
    guest.put(_raw(type=2, op=Op.REQUEST))
    guest.until(lambda: bool(guest.heard), "RST")
    assert (guest.heard[0].op, guest.heard[0].type) == (Op.RST, 2)


def test_a_guest_speaks_in_its_own_name_alone(guest: Guest, vsock: Vsock, serve: Serve) -> None:
    serve(5)
    for cid in (0, 2, 3, 5, 1 << 32 | 4, (1 << 64) - 1):
        guest.put(_raw(src_cid=cid, op=Op.REQUEST))
    guest.connect(5)
    assert _device(vsock).ignored == 6
    assert _device(vsock).count() == 1


def test_a_packet_shorter_than_a_header_is_passed_over(
    guest: Guest, vsock: Vsock, serve: Serve
) -> None:
    serve(5)
    guest._tx[guest.front.queues[1].add([(BASE + BUFFERS, HEADER.size - 1)])] = (
        guest._spare_tx.pop()
    )
    guest.connect(5)
    assert _device(vsock).ignored == 1


@pytest.mark.parametrize(("length", "data"), [(10, 9), (10, 11), (0, 1), (1, 0), (0xFFFF_FFFF, 4)])
def test_a_length_that_is_not_true_ends_the_stream(
    guest: Guest, serve: Serve, length: int, data: int
) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    guest.put(_raw(src_port=stream.port, length=length), bytes(data))
    guest.until(lambda: stream.reset, "RST")
    assert host.recv(10) == b""


@pytest.mark.parametrize("op", [Op.REQUEST, Op.RESPONSE, 0, 8])
def test_a_packet_out_of_place_ends_the_stream(guest: Guest, serve: Serve, op: int) -> None:
    serve(5)
    stream = guest.connect(5)
    guest.put(_raw(src_port=stream.port, op=op))
    guest.until(lambda: stream.reset, "RST")


@pytest.mark.parametrize("op", [Op.SHUTDOWN, Op.CREDIT_UPDATE, Op.CREDIT_REQUEST])
def test_only_rw_has_bytes_behind_it(guest: Guest, serve: Serve, op: int) -> None:
    serve(5)
    stream = guest.connect(5)
    guest.put(_raw(src_port=stream.port, op=op, length=4), b"more")
    guest.until(lambda: stream.reset, "RST")


def test_an_empty_rw_is_nothing(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.say(Op.RW)
    stream.send(b"x")
    assert host.recv(10) == b"x"


def test_bytes_after_the_promise_of_no_more_end_the_stream(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.send(b"all")
    stream.shut(2)
    guest.work(0)
    assert host.recv(10) == b"all"
    assert host.recv(10) == b""
    stream.say(Op.RW, b"and more")
    guest.until(lambda: stream.reset, "RST")


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
    (held,) = _device(vsock)._streams.values()
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
    data = os.urandom(1_000_000)
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
    guest.put(_raw(src_port=stream.port, op=Op.CREDIT_UPDATE, fwd_cnt=lie, buf_alloc=0xFFFF_FFFF))
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
    front.memory[at : at + HEADER.size] = _raw().pack()
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
    header = _raw(op=Op.REQUEST)
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


def test_a_guest_has_so_many_streams_and_no_more(
    guest: Guest, vsock: Vsock, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "MOST_STREAMS", 20)
    listener = serve(5)
    made = [guest.connect(5) for _ in range(20)]
    with pytest.raises(Refused):
        guest.connect(5)
    with pytest.raises(ConnectionRefusedError):
        vsock.connect(8080, 5)
    made[0].close()
    guest.connect(5)
    for _ in range(21):
        listener.accept()[0].close()


def test_answers_that_nobody_fetches_are_bounded(guest: Guest, vsock: Vsock, serve: Serve) -> None:
    serve(5)
    guest.hungry = False
    for port in range(4000):
        guest.put(_raw(src_port=port))
    guest.work(0.1)
    assert len(_device(vsock)._resets) <= 1024
    guest.hungry = True
    guest.until(lambda: _resets(guest) >= 1024, "answers")
    guest.connect(5)


def test_streams_that_begin_and_break_leave_nothing(
    guest: Guest, vsock: Vsock, serve: Serve
) -> None:
    listener = serve(5)
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                listener.accept()[0].close()

    threading.Thread(target=accept, daemon=True).start()
    guest.hungry = False
    for port in range(1500):
        guest.put(_raw(src_port=port, op=Op.REQUEST))
        guest.put(_raw(src_port=port, op=Op.RESPONSE))
    guest.hungry = True
    held = _device(vsock)
    guest.until(lambda: not (held.count() or held._resets), "the end of them all")
    assert not held._owing and not held._ready and not held._deadlines
    stop.set()


def test_a_guest_that_closes_is_not_kept_by_a_slow_host(
    guest: Guest, vsock: Vsock, serve: Serve
) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    data = os.urandom(300_000)
    stream.send(data)
    stream.close()  # answered at once, whatever the host has read
    got = b""
    while part := host.recv(1 << 16):
        got += part
    assert got == data
    soon(lambda: _device(vsock).count() == 0)


def test_what_nobody_drains_is_dropped_in_time(
    guest: Guest, vsock: Vsock, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "DRAIN_SECONDS", 1.0)
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.send(bytes(300_000))
    stream.close()
    assert _device(vsock).count() == 1
    soon(lambda: _device(vsock).count() == 0)
    host.close()


def test_a_host_that_reads_no_more_may_still_have_spoken(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.send(b"never read")
    guest.work(0.1)
    host.sendall(b"last words")
    host.close()
    for _ in range(3):
        with contextlib.suppress(Refused):
            stream.send(b"into the void")
    assert stream.take_all() == b"last words"


def test_a_host_that_is_gone_is_told_and_forgotten(
    guest: Guest, vsock: Vsock, serve: Serve
) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    listener.accept()[0].close()
    assert stream.take_all() == b""
    guest.until(lambda: stream.peer_shut == 3, "SHUTDOWN")
    stream.say(Op.RST)
    soon(lambda: _device(vsock).count() == 0)


def test_a_guest_that_never_answers_is_given_up(
    guest: Guest, vsock: Vsock, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "ANSWER_SECONDS", 0.2)
    listener = serve(5)
    stream = guest.connect(5)
    listener.accept()[0].close()
    guest.until(lambda: stream.reset, "RST")
    guest.hungry = False
    with pytest.raises(ConnectionRefusedError):
        vsock.connect(8080, 5)
    assert _device(vsock).count() == 0


def test_a_guest_that_takes_no_more_ends_the_hosts_writing(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.shut(1)
    guest.work(0.1)
    with pytest.raises(BrokenPipeError):
        host.sendall(bytes(1_000_000))
    stream.send(b"still said")
    assert host.recv(100) == b"still said"


def test_a_reset_of_the_guests_ends_it_at_once(guest: Guest, vsock: Vsock, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.say(Op.RST)
    assert host.recv(10) == b""
    assert _device(vsock).count() == 0


def test_an_answer_for_someone_who_left_is_taken_back(guest: Guest) -> None:
    guest.listening.add(8080)
    asked = socket.socket(socket.AF_UNIX)
    asked.connect("uds")
    asked.sendall(b"CONNECT 8080\n")
    time.sleep(0.1)
    asked.close()
    stream: GuestStream = guest.accept()
    guest.until(lambda: stream.reset or bool(stream.peer_shut), "the end")
