"""What an image puts where its host looks: a link must not turn a published port to another socket."""

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest

from troth.runtime.forward import Forwarder, connect_unix


def _serve(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def answer() -> None:
        while True:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"the host's own")

    threading.Thread(target=answer, daemon=True).start()


def _first_bytes(path: Path) -> bytes:
    forwarder = Forwarder(8080, 0)
    try:
        forwarder.serve(lambda: connect_unix(str(path)))
        with socket.create_connection(("127.0.0.1", forwarder.published.host_port), 5) as sock:
            with contextlib.suppress(ConnectionResetError):
                return sock.recv(100)
            return b""
    finally:
        forwarder.close()


def test_a_port_leads_to_the_images_socket(tmp_path: Path) -> None:
    _serve(tmp_path / "8080.sock")
    assert _first_bytes(tmp_path / "8080.sock") == b"the host's own"


@pytest.mark.parametrize("hops", [1, 2])
def test_a_link_leads_nowhere(tmp_path: Path, hops: int) -> None:
    """Such as to the container engine's or the key agent's socket, open to every local web page then."""
    _serve(tmp_path / "agent.sock")
    (tmp_path / "host").mkdir()
    target = tmp_path / "agent.sock"
    for hop in range(hops):
        link = tmp_path / "host" / f"{hop}.sock"
        link.symlink_to(target)
        target = link
    assert _first_bytes(target) == b""


def test_what_is_no_socket_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    for name in ("file", "pipe", "absent"):
        assert _first_bytes(tmp_path / name) == b""
