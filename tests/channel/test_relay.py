import socket
import struct
import threading

from troth.channel.relay import relay
from troth.errors import Unavailable


class Stream:
    """One end of a socket pair with a stream's methods; `cut` makes its next read a cut."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.cut = False

    def read(self, size: int) -> bytes:
        data = self.sock.recv(size)
        if not data and self.cut:
            raise Unavailable("cut")
        return data

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def end(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        self.sock.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    for sock in (one, other):
        sock.settimeout(5)
    return one, other


def start(idle: float = 5) -> tuple[socket.socket, socket.socket, Stream, threading.Thread]:
    """The far end of the stream, the local peer, the stream, and the relay's thread."""
    far, near = tcp_pair()
    peer, plain = tcp_pair()
    stream = Stream(near)
    thread = threading.Thread(target=relay, args=(stream, plain), kwargs={"idle": idle})
    thread.start()
    return far, peer, stream, thread


def test_both_ways_and_an_end_is_passed_on_as_an_end() -> None:
    far, peer, _, thread = start()
    peer.sendall(b"question")
    peer.shutdown(socket.SHUT_WR)
    assert far.recv(100) == b"question"
    assert far.recv(100) == b""
    far.sendall(b"answer")
    assert peer.recv(100) == b"answer"
    far.close()
    assert peer.recv(100) == b""
    thread.join(5)
    assert not thread.is_alive()


def test_the_far_end_first() -> None:
    far, peer, _, thread = start()
    far.sendall(b"all of it")
    far.shutdown(socket.SHUT_WR)
    assert peer.recv(100) == b"all of it"
    assert peer.recv(100) == b""
    peer.sendall(b"thanks")
    peer.close()
    assert far.recv(100) == b"thanks"
    thread.join(5)
    assert not thread.is_alive()


def test_a_cut_stream_resets_the_local_peer() -> None:
    far, peer, stream, thread = start()
    stream.cut = True
    far.close()
    try:
        ended = peer.recv(100)
    except ConnectionResetError:
        ended = None
    assert ended is None
    thread.join(5)
    assert not thread.is_alive()


def test_a_local_peer_that_vanishes_ends_the_stream() -> None:
    far, peer, _, thread = start()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert far.recv(100) == b""
    thread.join(5)
    assert not thread.is_alive()


def test_a_silent_local_peer_is_given_up() -> None:
    far, _peer, _, thread = start(idle=0.1)
    assert far.recv(100) == b""
    thread.join(5)
    assert not thread.is_alive()
