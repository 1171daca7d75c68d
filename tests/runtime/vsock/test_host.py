"""The host's end: Firecracker's convention, and the sockets it takes."""

import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest
from tests.runtime.vsock.guest import Guest

from troth.errors import Misuse, Unavailable
from troth.runtime.vsock import Vsock, host
from troth.runtime.vsock.device import MOST_STREAMS
from troth.runtime.vsock.session import Session


def _ask(line: bytes, *, then: bytes = b"") -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    host._reach(sock, Path("uds"), time.monotonic() + 10)
    sock.settimeout(10)
    sock.sendall(line + then)
    return sock


def _answer(sock: socket.socket) -> bytes:
    try:
        return sock.recv(100)
    except ConnectionResetError:  # it was closed over bytes that it did not read
        return b""


def test_a_line_asks_and_a_line_answers(guest: Guest) -> None:
    guest.listening.add(8080)
    with _ask(b"CONNECT 8080\n", then=b"at once") as sock:
        stream = guest.accept()
        guest.work(0.1)
        word, _, number = sock.recv(100).rstrip(b"\n").partition(b" ")
        assert word == b"OK"
        assert int(number) == stream.peer
        assert stream.take() == b"at once"


def test_a_line_may_come_in_pieces(guest: Guest) -> None:
    guest.listening.add(8080)
    with _ask(b"CON") as sock:
        for piece in (b"NECT 80", b"8", b"0\nfirst"):
            time.sleep(0.02)
            sock.sendall(piece)
        stream = guest.accept()
        assert stream.take() == b"first"


@pytest.mark.parametrize(
    "line",
    [
        *(b"CONNECT\n", b"CONNECT \n", b"connect 8080\n", b"CONNECT 08080\n", b"CONNECT +8080\n"),
        *(b"CONNECT 8080\r\n", b" CONNECT 8080\n", b"CONNECT 8080 \n", b"CONNECT 0x10\n", b"\n"),
        *(b"CONNECT 4294967295\n", b"CONNECT 4294967296\n", b"CONNECT 99999999999\n"),
        *(
            b"GET / HTTP/1.1\r\n\r\n",
            b"CONNECT 8080" + b" " * 100,
            bytes(1000),
            "CONNECT ٨\n".encode(),
        ),
    ],
)
def test_whatever_else_is_said_ends_it(
    guest: Guest, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_LINE_SECONDS", 60)  # it is what was said that ends it, and not time
    guest.listening |= {0, 8080, 16, 8}
    with _ask(line) as sock:
        assert _answer(sock) == b""
    assert not guest.accepted


@pytest.mark.usefixtures("guest")
def test_silence_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_LINE_SECONDS", 0.1)
    with _ask(b"CONNECT 80") as sock:
        assert _answer(sock) == b""


def test_without_a_guest_there_is_no_stream(vsock: Vsock) -> None:
    with pytest.raises(ConnectionRefusedError, match="port 8080"):
        vsock.connect(8080)


def test_more_than_there_is_room_for_wait_outside(guest: Guest) -> None:
    waiting = [_ask(b"") for _ in range(MOST_STREAMS)]
    time.sleep(0.3)
    late = _ask(b"CONNECT 8080\n")
    guest.listening.add(8080)
    late.settimeout(0.3)
    with pytest.raises(TimeoutError):
        late.recv(1)
    for sock in waiting[:10]:
        sock.close()
    guest.accept()
    late.settimeout(10)
    guest.work(0.1)
    assert late.recv(2) == b"OK"
    for sock in (*waiting, late):
        sock.close()


@pytest.mark.usefixtures("guest")
def test_an_answer_that_takes_too_long_is_not_waited_for(vsock: Vsock) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        vsock.connect(8080, 0.2)  # the guest is not at work
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "answer", [b"\n", b"NO\n", b"OK\n", b"OK 1", b"OK 99999999999\n", b"x" * 500]
)
def test_an_answer_that_is_none_is_a_refusal(folder: Path, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("other")
        listener.listen()
        threading.Thread(target=lambda: listener.accept()[0].send(answer), daemon=True).start()
        with pytest.raises(ConnectionRefusedError):
            host.call(folder / "other", 1, 5)


def test_sockets_are_their_owners_alone_and_go_away(folder: Path) -> None:
    old = os.umask(0)
    try:
        vsock = Vsock(folder / "front", folder / "uds")
        vsock.start()
    finally:
        os.umask(old)
    for name in ("front", "uds"):
        mode = (folder / name).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    vsock.close()
    vsock.close()
    assert list(folder.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        vsock.connect(1)


def test_what_is_there_is_not_taken_over(folder: Path) -> None:
    (folder / "uds").write_text("somebody's")
    with pytest.raises(Unavailable, match="no socket at uds: Address already in use"):
        Vsock(folder / "front", folder / "uds").start()
    assert [path.name for path in folder.iterdir()] == ["uds"]


def test_a_long_path_is_refused_before_qemu_is(folder: Path) -> None:
    long = Path("x" * 100)
    with pytest.raises(Unavailable, match="too long for the address") as refused:
        Vsock(folder / "front", long).start()
    assert "at most 96 bytes" in refused.value.fix
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("cid", [-1, 0, 1, 2, 3, 0xFFFF_FFFF, 1 << 32])
def test_a_guest_has_a_guests_cid(cid: int) -> None:
    with pytest.raises(Misuse, match=f"{cid} is no guest's CID"):
        Vsock(Path("front"), Path("uds"), guest_cid=cid)


def test_on_another_machine_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.uname_result(("Linux", "host", "6", "1", "aarch64"))
    monkeypatch.setattr(os, "uname", lambda: other)
    with pytest.raises(Unavailable, match="not made for aarch64"):
        Vsock(Path("front"), Path("uds"))


def test_a_bug_in_the_thread_leaves_nobody_waiting_and_comes_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vsock = Vsock(folder / "front", folder / "uds")
    vsock.start()

    def broken(_: Session) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(Session, "pump", broken)
    front = socket.socket(socket.AF_UNIX)
    front.settimeout(10)
    front.connect("front")
    assert front.recv(1) == b""
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        vsock.connect(1)
    with pytest.raises(ZeroDivisionError):
        vsock.close()


def test_it_waits_without_working(guest: Guest) -> None:
    """A thread that has nothing to do is asleep, with streams open in every state as well."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("uds_5")
    listener.listen()
    idle, ended, starved, full = (guest.connect(5) for _ in range(4))
    hosts = [listener.accept()[0] for _ in range(4)]
    hosts[1].shutdown(socket.SHUT_WR)
    starved.room = 0
    starved.say(6)
    guest.work(0.1)
    hosts[2].sendall(b"waits")
    for _ in range(10):
        full.sent += 40_000
        if full.credit() < 0:
            break
        full.say(5, bytes(40_000))
        guest.work(0.01)
    guest.work(0.2)
    thread = next(one for one in threading.enumerate() if one.name == "vsock")
    before = _ticks(thread)
    time.sleep(0.5)
    assert _ticks(thread) - before <= 1
    assert not idle.reset and not ended.reset
    listener.close()


def _ticks(thread: threading.Thread) -> int:
    text = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
