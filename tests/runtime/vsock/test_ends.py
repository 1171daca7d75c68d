"""How streams end, and what a guest can make the host keep until then."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

import pytest
from tests.runtime.vsock.guest import Guest, GuestStream, Refused, device_of, raw, soon

from troth.runtime.vsock import Vsock, device
from troth.runtime.vsock.packets import Op

Serve = Callable[[int], socket.socket]


def _resets(guest: Guest) -> int:
    return sum(header.op == Op.RST for header in guest.heard)


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
        guest.put(raw(src_port=port))
    guest.work(0.1)
    assert len(device_of(vsock)._resets) <= 1024
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
        guest.put(raw(src_port=port, op=Op.REQUEST))
        guest.put(raw(src_port=port, op=Op.RESPONSE))
    guest.hungry = True
    held = device_of(vsock)
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
    soon(lambda: device_of(vsock).count() == 0)


def test_a_name_used_again_is_another_stream(guest: Guest, vsock: Vsock, serve: Serve) -> None:
    """What the first left behind is drained beside the second, and its end is not the second's."""
    listener = serve(5)
    first = guest.connect(5)
    slow = listener.accept()[0]
    first.send(bytes(300_000))
    first.close()
    guest._port -= 1
    second = guest.connect(5)
    assert second.port == first.port
    host = listener.accept()[0]
    assert device_of(vsock).count() == 2
    while slow.recv(1 << 16):
        pass
    soon(lambda: device_of(vsock).count() == 1)
    second.send(b"still here")
    guest.work(0)
    assert host.recv(100) == b"still here"
    host.sendall(b"and heard")
    assert second.take() == b"and heard"


def test_what_nobody_drains_is_dropped_in_time(
    guest: Guest, vsock: Vsock, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "DRAIN_SECONDS", 1.0)
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.send(bytes(300_000))
    stream.close()
    assert device_of(vsock).count() == 1
    soon(lambda: device_of(vsock).count() == 0)
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
    soon(lambda: device_of(vsock).count() == 0)


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
    assert device_of(vsock).count() == 0


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


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_promises_add_up(guest: Guest, serve: Serve, order: tuple[int, int]) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.shut(order[0])
    stream.shut(order[1])
    guest.until(lambda: stream.reset, "RST")
    assert host.recv(10) == b""


def test_a_reset_of_the_guests_ends_it_at_once(guest: Guest, vsock: Vsock, serve: Serve) -> None:
    listener = serve(5)
    stream = guest.connect(5)
    host = listener.accept()[0]
    stream.say(Op.RST)
    assert host.recv(10) == b""
    assert device_of(vsock).count() == 0


def test_an_answer_for_someone_who_left_is_taken_back(guest: Guest) -> None:
    guest.listening.add(8080)
    asked = socket.socket(socket.AF_UNIX)
    asked.connect("uds")
    asked.sendall(b"CONNECT 8080\n")
    time.sleep(0.1)
    asked.close()
    stream: GuestStream = guest.accept()
    guest.until(lambda: stream.reset or bool(stream.peer_shut), "the end")
