"""The front end's visit: in order, out of order, over and begun anew."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runtime.vsock.front import BASE, GUARD, SIZE, USER, Front
from tests.runtime.vsock.guest import Guest, soon

from troth.runtime.vsock import Vsock, messages
from troth.runtime.vsock.messages import CONFIG, STATE, U64, Request

Serve = Callable[[int], socket.socket]
RUNNING = "ring 0 runs"


@pytest.fixture
def front(vsock: Vsock, folder: Path) -> Front:
    assert not vsock.notes
    made = Front(folder / "front")
    assert made.greet() == 4
    return made


def _ends(front: Front, vsock: Vsock, word: str) -> None:
    with pytest.raises(EOFError):
        front.answer()
    assert word in vsock.notes[-1]
    front.close()


def test_what_is_offered(front: Front) -> None:
    assert front.ask(Request.GET_FEATURES) == U64.pack(1 << 32 | 1 << 30 | 1 << 28)
    assert front.ask(Request.GET_PROTOCOL_FEATURES) == U64.pack(1 << 9 | 1 << 3)
    front.close()


@pytest.mark.parametrize(
    ("request_", "payload", "word"),
    [
        (Request.GET_FEATURES, b"x", "GET_FEATURES: 1 bytes, not 0"),
        (Request.SET_OWNER, b"x", "SET_OWNER: 1 bytes, not 0"),
        (Request.SET_FEATURES, U64.pack(1 << 29), "0x20000000 is not offered"),
        (Request.SET_FEATURES, U64.pack(1 << 26), "is not offered"),
        (Request.SET_FEATURES, bytes(4), "4 bytes, not 8"),
        (Request.SET_PROTOCOL_FEATURES, U64.pack(1), "0x1 is not offered"),
        (Request.SET_VRING_NUM, STATE.pack(2, 128), "there is no ring 2"),
        (Request.SET_VRING_NUM, STATE.pack(0, 0), "a ring of 0 entries"),
        (Request.SET_VRING_NUM, STATE.pack(0, 100), "a ring of 100 entries"),
        (Request.SET_VRING_NUM, STATE.pack(0, 2048), "a ring of 2048 entries"),
        (Request.SET_VRING_BASE, STATE.pack(1, 1 << 16), "65536 is no index"),
        (Request.SET_VRING_ENABLE, STATE.pack(0, 2), "2 is not yes or no"),
        (Request.SET_VRING_ADDR, messages.ADDRESS.pack(0, 1, 0, 0, 0, 0), "flags 0x1"),
        (Request.GET_VRING_BASE, STATE.pack(7, 0), "there is no ring 7"),
        (Request.SET_VRING_KICK, U64.pack(0), "0 files came along"),
        (Request.SET_VRING_KICK, U64.pack(0x100), "a ring without a kick"),
        (Request.SET_VRING_CALL, U64.pack(0), "0 files came along"),
        (Request.SET_VRING_CALL, U64.pack(2), "there is no ring 2"),
        (Request.SET_MEM_TABLE, messages.TABLE.pack(0, 0), "0 regions"),
        (Request.GET_CONFIG, b"", "is cut off"),
        (Request.GET_CONFIG, CONFIG.pack(1, 8, 0) + bytes(8), "8 bytes at 1 of 8"),
        (Request.GET_CONFIG, CONFIG.pack(0xFFFFFFFF, 8, 0) + bytes(8), "at 4294967295 of 8"),
        (Request.GET_CONFIG, CONFIG.pack(0, 4, 0) + bytes(8), "4 bytes at 0"),
    ],
)
def test_a_message_against_the_rules_ends_the_visit(front, vsock, request_, payload, word) -> None:
    front.send(request_, payload)
    _ends(front, vsock, word)


def test_an_order_that_is_refused_is_answered_so_first(front: Front, vsock: Vsock) -> None:
    front.send(Request.SET_VRING_NUM, STATE.pack(0, 3), flags=9)
    assert front.answer() == U64.pack(1)
    _ends(front, vsock, "a ring of 3 entries")


def test_files_come_only_where_they_belong(front: Front, vsock: Vsock) -> None:
    front.send(Request.SET_OWNER, files=(front.calls[0],))
    _ends(front, vsock, "SET_OWNER: a file came along")


@pytest.mark.parametrize(
    "request_", [Request.SET_VRING_KICK, Request.SET_VRING_CALL, Request.SET_VRING_ERR]
)
def test_an_event_is_an_event(front: Front, vsock: Vsock, request_: Request) -> None:
    with Path("/dev/null").open("rb") as null:
        front.send(request_, U64.pack(0), (null.fileno(),))
    _ends(front, vsock, "its file is no event")


def test_memory_that_may_shrink_ends_the_visit(front: Front, vsock: Vsock) -> None:
    never = os.memfd_create("never sealed")
    os.ftruncate(never, GUARD + SIZE)
    front.send(Request.SET_MEM_TABLE, front.table(), (never,))
    _ends(front, vsock, "may shrink and can't be sealed")
    os.close(never)


@pytest.mark.parametrize(
    ("request_", "payload"),
    [
        (Request.SET_VRING_NUM, STATE.pack(0, 64)),
        (Request.SET_VRING_BASE, STATE.pack(0, 1)),
        (Request.SET_VRING_ADDR, messages.ADDRESS.pack(0, 0, USER, USER, USER, 0)),
    ],
)
def test_a_ring_that_runs_is_not_moved(front, vsock, request_, payload) -> None:
    front.begin()
    front.send(request_, payload)
    _ends(front, vsock, RUNNING)


def test_a_ring_outside_of_the_memory_does_not_run(front: Front, vsock: Vsock) -> None:
    front.order(Request.SET_FEATURES, U64.pack(front.features))
    front.order(Request.SET_MEM_TABLE, front.table(), (front.file,))
    front.order(Request.SET_VRING_NUM, STATE.pack(1, 128))
    address = messages.ADDRESS.pack(1, 0, USER, USER + SIZE - 64, USER + 0x1000, 0)
    front.order(Request.SET_VRING_ADDR, address)
    front.order(Request.SET_VRING_KICK, U64.pack(1), (front.kicks[1],))
    front.send(Request.SET_VRING_ENABLE, STATE.pack(1, 1))
    _ends(front, vsock, "tx ring: address: 1028 bytes")


def test_a_broken_ring_ends_the_visit_and_is_told_by_its_event(front: Front, vsock: Vsock) -> None:
    err = os.eventfd(0, os.EFD_NONBLOCK)
    front.order(Request.SET_VRING_ERR, U64.pack(1), (err,))
    front.begin()
    front.queues[1].available[1] = 500
    front.kick(1)
    _ends(front, vsock, "the guest's rings: available: 500 entries wait in 128")
    assert os.eventfd_read(err) == 1
    os.close(err)


def test_the_next_front_end_waits_for_the_last_to_go(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    waiting = socket.socket(socket.AF_UNIX)
    waiting.connect("front")
    waiting.sendall(messages.HEADER.pack(Request.GET_FEATURES, 1, 0))
    waiting.settimeout(0.2)
    with pytest.raises(TimeoutError):
        waiting.recv(20)
    stream.send(b"not disturbed")
    assert host.recv(100) == b"not disturbed"
    guest.front.sock.close()
    assert host.recv(100) == b""  # its streams ended with it
    waiting.settimeout(10)
    assert len(waiting.recv(20)) == 20
    waiting.close()


def test_qemu_goes_and_comes_again(vsock: Vsock, folder: Path, serve: Serve) -> None:
    listener = serve(5)
    for _ in range(5):
        guest = Guest(Front(folder / "front"))
        stream = guest.connect(5)
        host = listener.accept()[0]
        stream.send(b"x" * 100_000)
        got = 0
        while got < 100_000:
            got += len(host.recv(1 << 16))
        guest.close()
        assert host.recv(10) == b""
    assert vsock.notes == ("the front end went away",) * 5


def test_a_guest_that_boots_again_has_no_streams_of_before(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    guest.connect(5)
    host = listener.accept()[0]
    guest.front.end()
    assert host.recv(10) == b""
    guest.streams.clear()
    guest.up()
    stream = guest.connect(5)
    stream.send(b"again")
    assert listener.accept()[0].recv(10) == b"again"


def test_rings_go_on_where_they_stopped(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    for _ in range(30):
        guest.connect(5).close()
        listener.accept()[0].close()
    guest.work(0.05)
    front = guest.front
    front.end()
    rx, tx = front.queues
    assert tx.base == tx.made
    assert rx.base == rx.seen
    front.begin()
    guest.connect(5).close()


def test_a_new_table_of_memory_leaves_streams_alone(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    half = SIZE // 2
    table = messages.TABLE.pack(2, 0)
    table += messages.REGION.pack(BASE, half, USER, GUARD)
    table += messages.REGION.pack(BASE + half, half, USER + half, GUARD + half)
    guest.front.order(Request.SET_MEM_TABLE, table, (guest.front.file, guest.front.file))
    stream.send(b"goes on")
    assert host.recv(100) == b"goes on"


def test_a_ring_that_is_disabled_rests(guest: Guest, serve: Serve) -> None:
    listener = serve(5)
    front = guest.front
    front.order(Request.SET_VRING_ENABLE, STATE.pack(0, 0))
    with pytest.raises(TimeoutError):
        guest.until(lambda: False, "nothing", patience=0.1)
    front.order(Request.SET_VRING_ENABLE, STATE.pack(0, 1))
    guest.connect(5).close()
    listener.accept()[0].close()


def test_a_front_end_that_never_reads_answers_is_left(vsock: Vsock, folder: Path) -> None:
    front = Front(folder / "front")
    front.sock.settimeout(0.5)
    question = messages.HEADER.pack(Request.GET_FEATURES, 1, 0)
    with pytest.raises((TimeoutError, BrokenPipeError, ConnectionResetError)):
        front.sock.sendall(question * 1_000_000)
    soon(lambda: "the front end can't be answered" in "".join(vsock.notes))
    front.close()
