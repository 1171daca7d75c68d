"""Attacks on the agent in a machine of its own, by the host that it speaks to."""

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from troth.agent import host
from troth.errors import Malformed
from troth.wire import control


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """The host's end of the control channel; what comes out of the agent's first frame is kept below."""
    ours, other = socket.socketpair()
    ours.settimeout(10)
    monkeypatch.setattr(host, "_beat", lambda: None)
    monkeypatch.setattr(host, "_connect", lambda _: ours)
    monkeypatch.setattr(host, "_FREE", tmp_path / "free")
    monkeypatch.setattr(host, "_SECONDS", 1.0)
    return other


def test_a_host_that_does_not_read_does_not_keep_the_machine(theirs: socket.socket) -> None:
    theirs.sendall(control.pack({"free": {}}))
    outside = host.Outside()
    full = outside._control
    assert full is not None
    full.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            full.send(bytes(4096))
    full.setblocking(True)
    ends = threading.Thread(target=outside.say_ended, args=(0,), daemon=True)
    ends.start()
    ends.join(10)
    assert not ends.is_alive()


@pytest.mark.parametrize(
    "name", ["../etc/x", "a/b", "", ".", "-", "a\n", "/x", "a" * 65, "a\0", "\u0661"]
)
def test_data_under_a_name_that_is_none(theirs: socket.socket, name: str) -> None:
    theirs.sendall(control.pack({"free": {name: "00"}}))
    with pytest.raises(Malformed, match="is no name"):
        host.Outside()


@pytest.mark.parametrize(
    "frame",
    [
        {"free": {"a": "0"}},
        {"free": {"a": "AB"}},
        {"free": {"a": 1}},
        {"free": []},
        {"environment": {"LD_PRELOAD": "/x"}},
        {"stop": True},
        {"free": {}, "more": 1},
        [],
    ],
)
def test_a_first_frame_that_is_something_else(theirs: socket.socket, frame: object) -> None:
    theirs.sendall(control.pack(frame))  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        host.Outside()


def test_a_frame_of_any_size_is_not_waited_for(theirs: socket.socket) -> None:
    theirs.sendall((control.MAX_FREE + 1).to_bytes(4, "big"))
    with pytest.raises(Malformed, match="are the most"):
        host.Outside()


def test_a_host_that_goes_away_at_once(theirs: socket.socket) -> None:
    theirs.close()
    with pytest.raises(Malformed, match="does not begin"):
        host.Outside()
