"""Streams through a whole back end, both ways, with a guest that keeps the rules."""

import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runtime.vsock.front import Front
from tests.runtime.vsock.guest import Guest, Refused

from troth.runtime.vsock import Vsock
from troth.runtime.vsock.packets import Op

Serve = Callable[[int], socket.socket]
DATA = random.Random(5).randbytes(3_000_000)


def _read(sock: socket.socket) -> bytes:
    data = bytearray()
    while part := sock.recv(1 << 16):
        data += part
    return bytes(data)


class _Background:
    """A function in a thread, and what it gave."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.result: object = None
        self._thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], object]) -> None:
        self.result = function()

    def wait(self) -> object:
        self._thread.join(20)
        assert not self._thread.is_alive(), "it hangs"
        return self.result


@pytest.mark.parametrize("cid", [2, 3])
def test_the_guest_reaches_the_host_by_either_name(guest: Guest, serve: Serve, cid: int) -> None:
    listener = serve(9000)
    stream = guest.connect(9000, cid)
    with listener.accept()[0] as host:
        stream.send(b"\xb7")
        guest.work(0)
        assert host.recv(9) == b"\xb7"
        host.sendall(b"\xb7")
        assert stream.take() == b"\xb7"
        stream.close()
        assert host.recv(9) == b""


def test_the_host_reaches_the_guest(guest: Guest, vsock: Vsock) -> None:
    guest.listening.add(8080)
    asked = _Background(lambda: vsock.connect(8080))
    stream = guest.accept()
    guest.work(0.1)
    host = asked.wait()
    assert isinstance(host, socket.socket)
    with host:
        host.sendall(b"question")
        assert stream.take() == b"question"
        stream.send(b"answer")
        assert host.recv(100) == b"answer"
        host.shutdown(socket.SHUT_WR)
        assert stream.take() == b""
        stream.send(b"and more")
        assert host.recv(100) == b"and more"
        stream.close()
        assert host.recv(100) == b""


@pytest.mark.parametrize(
    ("indirect", "split"), [(False, 0), (True, 0), (False, 16384), (True, 9000)]
)
@pytest.mark.usefixtures("vsock")
def test_large_transfers_both_ways_at_once(
    folder: Path, serve: Serve, indirect: bool, split: int
) -> None:
    """Where others got stuck: neither way may wait for the other (vhost-device 494, firecracker 1751)."""
    guest = Guest(Front(folder / "front"), indirect=indirect, split=split)
    listener = serve(1)
    stream = guest.connect(1)
    host, _ = listener.accept()
    host.settimeout(20)
    reading = _Background(lambda: _read(host))
    sending = _Background(lambda: (host.sendall(DATA), host.shutdown(socket.SHUT_WR)))
    stream.send(DATA)
    stream.shut(2)
    assert stream.take_all() == DATA
    sending.wait()
    assert reading.wait() == DATA
    stream.close()
    assert guest.front.untouched()
    guest.close()


def test_a_slow_reader_on_the_host_stops_its_own_stream_alone(guest: Guest, serve: Serve) -> None:
    """And what its socket took of a packet is neither lost nor sent twice (libkrun 772)."""
    slow, quick = serve(1), serve(2)
    one, other = guest.connect(1), guest.connect(2)
    host_slow, host_quick = slow.accept()[0], quick.accept()[0]
    host_slow.settimeout(20)
    # All that fits into the sockets and the back end's buffer, and not a byte beyond its credit.
    at = one.fill(DATA)
    assert at < len(DATA), "a host that reads nothing takes everything"
    other.send(b"not held up")
    guest.work(0)
    assert host_quick.recv(100) == b"not held up"
    reading = _Background(lambda: _read(host_slow))
    one.send(DATA[at:])
    one.close()
    assert reading.wait() == DATA


def test_a_slow_guest_loses_nothing(guest: Guest, serve: Serve) -> None:
    listener = serve(1)
    stream = guest.connect(1)
    host = listener.accept()[0]
    sending = _Background(lambda: (host.sendall(DATA), host.close()))
    got = bytearray()
    for _ in range(40):
        got += stream.exactly(5000)
        time.sleep(0.005)
    got += stream.take_all()
    sending.wait()
    assert hashlib.sha256(got).digest() == hashlib.sha256(DATA).digest()


def test_a_guest_without_buffers_is_waited_for(guest: Guest, serve: Serve) -> None:
    listener = serve(1)
    stream = guest.connect(1)
    host = listener.accept()[0]
    guest.hungry = False
    sending = _Background(lambda: (host.sendall(DATA), host.shutdown(socket.SHUT_WR)))
    time.sleep(0.3)
    guest.hungry = True
    assert stream.take_all() == DATA
    sending.wait()


def test_many_streams_at_once(guest: Guest, serve: Serve) -> None:
    listener = serve(1)

    def echo(host: socket.socket) -> None:
        with host:
            host.sendall(_read(host))

    def accept() -> None:
        while True:
            threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    _Background(accept)
    streams = [guest.connect(1) for _ in range(60)]
    for number, stream in enumerate(streams):
        stream.send(DATA[: 20_000 + number])
        stream.shut(2)
    for number, stream in enumerate(streams):
        assert stream.take_all() == DATA[: 20_000 + number]
        stream.close()
    for _ in range(300):  # and again and again: nothing is used up
        stream = guest.connect(1)
        stream.send(b"x")
        stream.shut(2)
        assert stream.take_all() == b"x"
        stream.close()


def test_nobody_at_a_port_is_a_refusal(guest: Guest, vsock: Vsock) -> None:
    with pytest.raises(Refused):
        guest.connect(4)
    refused = _Background(lambda: _why(vsock, 4))
    guest.until(lambda: any(h.op == Op.REQUEST for h in guest.heard), "REQUEST")
    assert isinstance(refused.wait(), ConnectionRefusedError)


def _why(vsock: Vsock, port: int) -> Exception | None:
    try:
        vsock.connect(port).close()
    except OSError as error:
        return error
    return None
