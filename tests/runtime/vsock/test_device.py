"""Packets against the rules: refused, or the end of their stream, and of no other."""

import socket
from collections.abc import Callable

import pytest
from tests.runtime.vsock.front import BASE, BUFFERS
from tests.runtime.vsock.guest import Guest, device_of, raw

from troth.runtime.vsock import Vsock
from troth.runtime.vsock.packets import HEADER, Op

Serve = Callable[[int], socket.socket]


@pytest.mark.parametrize("op", [0, 2, 4, 5, 6, 7, 8, 99, 0xFFFF])
def test_packets_of_no_stream_are_answered_with_a_reset(guest: Guest, op: int) -> None:
    guest.put(raw(op=op))
    guest.until(lambda: bool(guest.heard), "RST")
    (reset,) = guest.heard
    assert (reset.op, reset.src_cid, reset.src_port, reset.dst_port) == (Op.RST, 3, 5, 77)


def test_a_reset_is_not_answered(guest: Guest) -> None:
    guest.put(raw(op=Op.RST))
    guest.put(raw(op=Op.RW, src_port=78))
    guest.until(lambda: bool(guest.heard), "RST")
    assert [header.dst_port for header in guest.heard] == [78]


def test_a_kind_that_is_not_offered_is_refused_in_its_own_kind(guest: Guest) -> None:
    guest.put(raw(type=2, op=Op.REQUEST))
    guest.until(lambda: bool(guest.heard), "RST")
    assert (guest.heard[0].op, guest.heard[0].type) == (Op.RST, 2)


def test_a_guest_speaks_in_its_own_name_alone(guest: Guest, vsock: Vsock, serve: Serve) -> None:
    serve(5)
    for cid in (0, 2, 3, 5, 1 << 32 | 4, (1 << 64) - 1):
        guest.put(raw(src_cid=cid, op=Op.REQUEST))
    guest.connect(5)
    assert device_of(vsock).ignored == 6
    assert device_of(vsock).count() == 1


def test_a_packet_shorter_than_a_header_is_passed_over(
    guest: Guest, vsock: Vsock, serve: Serve
) -> None:
    serve(5)
    guest._tx[guest.front.queues[1].add([(BASE + BUFFERS, HEADER.size - 1)])] = (
        guest._spare_tx.pop()
    )
    guest.connect(5)
    assert device_of(vsock).ignored == 1


@pytest.mark.parametrize(("length", "data"), [(10, 9), (10, 11), (0, 1), (1, 0), (0xFFFF_FFFF, 4)])
def test_a_length_that_is_not_true_ends_the_stream(
    guest: Guest, serve: Serve, length: int, data: int
) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    guest.put(raw(src_port=stream.port, length=length), bytes(data))
    guest.until(lambda: stream.reset, "RST")
    assert host.recv(10) == b""


@pytest.mark.parametrize("op", [Op.REQUEST, Op.RESPONSE, 0, 8])
def test_a_packet_out_of_place_ends_the_stream(guest: Guest, serve: Serve, op: int) -> None:
    serve(5)
    stream = guest.connect(5)
    guest.put(raw(src_port=stream.port, op=op))
    guest.until(lambda: stream.reset, "RST")


@pytest.mark.parametrize("op", [Op.SHUTDOWN, Op.CREDIT_UPDATE, Op.CREDIT_REQUEST])
def test_only_rw_has_bytes_behind_it(guest: Guest, serve: Serve, op: int) -> None:
    serve(5)
    stream = guest.connect(5)
    guest.put(raw(src_port=stream.port, op=op, length=4), b"more")
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
