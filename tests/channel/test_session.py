import socket
import threading

import pytest
from OpenSSL import SSL

from troth.channel.server import make_credentials
from troth.channel.session import ALPN, Session, context
from troth.errors import Malformed, Unavailable


def pair(idle: float = 5) -> tuple[Session, Session]:
    """Client and server, hands shaken, on a socket pair."""
    left, right = socket.socketpair()
    tls = context()
    tls.set_alpn_protos([ALPN])
    client = SSL.Connection(tls, None)
    client.set_connect_state()
    credentials = make_credentials()
    server = SSL.Connection(credentials.tls, None)
    server.set_accept_state()
    ends = Session(left, client, idle=idle), Session(right, server, idle=idle)
    thread = threading.Thread(target=ends[1].handshake, kwargs={"seconds": 5})
    thread.start()
    ends[0].handshake(seconds=5)
    thread.join()
    for end in ends:
        end.begin()
    assert ends[0].peer_key() == credentials.spki
    return ends


def test_both_ends_have_the_same_exporter_and_the_nonce_is_in_it() -> None:
    client, server = pair()
    with client, server:
        assert client.exporter(b"n" * 32) == server.exporter(b"n" * 32)
        assert client.exporter(b"n" * 32) != client.exporter(b"m" * 32)
        assert len(client.exporter(b"n" * 32)) == 32
        raw = client._tls.export_keying_material(b"EXPORTER-troth-channel-1", 32, b"n" * 32)
        assert client.exporter(b"n" * 32) == raw


def test_another_session_has_another_exporter() -> None:
    first, second = pair(), pair()
    assert first[0].exporter(b"n" * 32) != second[0].exporter(b"n" * 32)
    for end in (*first, *second):
        end.close()


def test_much_both_ways_at_once() -> None:
    client, server = pair()
    size = 3_000_000
    got: dict[str, bytes] = {}

    def read(name: str, end: Session) -> None:
        parts = []
        while part := end.read(65536):
            parts.append(part)
        got[name] = b"".join(parts)

    def write(end: Session, fill: bytes) -> None:
        end.write(fill * size)
        end.end()

    threads = [
        threading.Thread(target=read, args=("client", client)),
        threading.Thread(target=read, args=("server", server)),
        threading.Thread(target=write, args=(client, b"c")),
        threading.Thread(target=write, args=(server, b"s")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert got == {"client": b"s" * size, "server": b"c" * size}
    client.close()
    server.close()


def test_an_end_is_an_end_and_reading_goes_on_after_it() -> None:
    client, server = pair()
    with client, server:
        client.write(b"question")
        client.end()
        assert server.take(8) == b"question"
        assert server.read(10) == b""
        assert server.read(10) == b""
        server.write(b"answer")
        assert client.take(6) == b"answer"


def test_a_cut_is_not_an_end() -> None:
    client, server = pair()
    server.write(b"half")
    server._socket.close()
    assert client.take(4) == b"half"
    with pytest.raises(Unavailable):
        client.read(10)
    client.close()


def test_the_end_before_all_was_read_is_said() -> None:
    client, server = pair()
    server.write(b"half")
    server.close()
    with pytest.raises(Unavailable, match="ended the session"):
        client.take(5)
    client.close()


def test_silence_ends_a_session() -> None:
    client, server = pair(idle=0.1)
    with client, server, pytest.raises(Unavailable, match="timed out"):
        client.read(1)


def test_a_changed_record_breaks_the_session() -> None:
    client, server = pair()
    server._tls.send(b"record")
    records = bytearray(server._made())
    records[-1] ^= 1
    server._socket.sendall(records)
    with pytest.raises(Unavailable, match="broke"):
        client.read(10)
    client.close()
    server.close()


def test_close_twice_and_from_a_third_thread() -> None:
    client, server = pair()
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            client.read(1)
        except Unavailable as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    closer = threading.Thread(target=client.close)
    closer.start()
    closer.join(5)
    thread.join(5)
    assert not thread.is_alive()
    client.close()
    server.close()
    server.close()


def test_the_server_has_no_key_of_the_client() -> None:
    client, server = pair()
    with client, server, pytest.raises(Malformed, match="absent"):
        server.peer_key()
