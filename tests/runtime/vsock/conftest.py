"""A back end, a guest at it, and programs of the host."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.runtime.vsock.front import Front
from tests.runtime.vsock.guest import Guest

from troth.runtime.vsock import Vsock


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sockets are, by short relative names."""
    monkeypatch.chdir(tmp_path)
    return Path()


@pytest.fixture
def vsock(folder: Path) -> Iterator[Vsock]:
    """A back end that runs."""
    with Vsock(folder / "front", folder / "uds") as made:
        yield made


@pytest.fixture
def guest(vsock: Vsock, folder: Path) -> Iterator[Guest]:
    """A guest that has come up at it; nothing around its memory may have changed in the end."""
    assert not vsock.notes
    made = Guest(Front(folder / "front"))
    yield made
    assert made.front.untouched()
    made.close()


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[[int], socket.socket]]:
    """Makes a listener of the host's for a port of the guest's choice."""
    made: list[socket.socket] = []

    def listen(port: int) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(folder / f"uds_{port}"))
        listener.listen(64)
        listener.settimeout(20)
        made.append(listener)
        return listener

    yield listen
    for listener in made:
        listener.close()
