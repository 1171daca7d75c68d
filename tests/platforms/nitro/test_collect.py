"""Collecting from both kinds of module, and from ones that answer as none should."""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.platforms.nitro import format as document_format
from troth.platforms.nitro.collect import Nsm, open_nsm
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, serve_nsm

INSTANCE = "i-0123456789abcdef0"


def module() -> SimulatedNsm:
    now = datetime.now(UTC)
    return SimulatedNsm(DevelopmentPki.create(now), {0: b"\x10" * 48}, INSTANCE, lambda: now)


class Canned:
    def __init__(self, reply: bytes) -> None:
        self.reply = reply

    def exchange(self, _: bytes) -> bytes:
        return self.reply

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def served(path: Path, answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """A module behind a unix socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    stop = threading.Event()
    nsm = type("Module", (), {"request": staticmethod(answer)})()
    thread = threading.Thread(target=serve_nsm, args=(listener, nsm, stop))
    thread.start()
    try:
        yield str(path)
    finally:
        stop.set()
        thread.join(5)
        listener.close()


def everything(nsm: Nsm) -> None:
    """All seven requests, against a module that has just started."""
    document = document_format.parse(nsm.attest(user_data=b"u", nonce=b"n", public_key=b"k"))
    assert (document.user_data, document.nonce, document.public_key) == (b"u", b"n", b"k")
    assert document_format.parse(nsm.attest()).nonce is None
    assert len(nsm.random()) == 256
    description = nsm.describe()
    assert description["module_id"].startswith(INSTANCE)
    assert description["locked_pcrs"] == list(range(16))
    assert nsm.register(0) == (b"\x10" * 48, True)
    value = nsm.extend(17, b"data")
    assert nsm.register(17) == (value, False)
    nsm.lock(17)
    assert nsm.register(17) == (value, True)
    nsm.lock_up_to(20)
    assert nsm.register(19) == (bytes(48), True)
    with pytest.raises(Unavailable, match="refused ExtendPCR: ReadOnlyIndex"):
        nsm.extend(17, b"more")
    with pytest.raises(Unavailable, match="InputTooLarge"):
        nsm.attest(nonce=bytes(1025))
    with pytest.raises(Misuse, match="4096"):
        nsm.attest(nonce=bytes(5000))


def test_the_simulators_socket(tmp_path: Path) -> None:
    with served(tmp_path / "nsm", module().request) as path, open_nsm(path) as nsm:
        everything(nsm)


def test_the_drivers_ioctl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's side of the ioctl is played here, on the memory that the struct points to."""
    simulated = module()

    def ioctl(fd: int, number: int, message: ctypes.Structure) -> int:
        assert number == 0xC0200A00
        assert os.fstat(fd)
        assert ctypes.sizeof(message) == 32
        where, size, reply_at, room = struct.unpack("<4Q", bytes(message))
        assert room == 0x3000
        reply = simulated.request(ctypes.string_at(where, size))
        ctypes.memmove(reply_at, reply, len(reply))
        message.reply_length = len(reply)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    with open_nsm("/dev/null") as nsm:
        everything(nsm)


def test_a_device_of_another_kind() -> None:
    with open_nsm("/dev/null") as nsm, pytest.raises(Unavailable, match="did not answer"):
        nsm.random()


def test_a_driver_that_claims_more_than_there_is_room_for(monkeypatch) -> None:
    def ioctl(_fd: int, _number: int, message: ctypes.Structure) -> int:
        message.reply_length = 0x3001
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    with open_nsm("/dev/null") as nsm, pytest.raises(Malformed, match="12289"):
        nsm.random()


def test_nothing_to_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "absent", tmp_path / "file", tmp_path):
        with pytest.raises(Unavailable) as caught:
            open_nsm(str(path))
        assert caught.value.fix


def test_a_socket_with_nobody_behind_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "nsm"))
    with open_nsm(str(tmp_path / "nsm")) as nsm, pytest.raises(Unavailable):
        nsm.random()


def test_a_module_that_ends_in_its_reply(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "nsm"))
    listener.listen()
    replies = [b"", b"\x00\x00", struct.pack(">I", 10) + b"12345", struct.pack(">I", 0x3001)]

    def serve() -> None:
        for reply in replies:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with open_nsm(str(tmp_path / "nsm")) as nsm:
        for _ in range(3):
            with pytest.raises(Unavailable, match="closed"):
                nsm.random()
        with pytest.raises(Malformed, match="12289"):
            nsm.random()
    thread.join(5)
    listener.close()


@pytest.mark.parametrize(
    "reply",
    [
        {"Error": "InternalError"},
        {"Error": "\x1b[31m anything"},
    ],
)
def test_refusals_are_unavailable_and_unknown_words_are_not_repeated(reply: object) -> None:
    with pytest.raises(Unavailable) as caught:
        Nsm(Canned(cbor2.dumps(reply))).random()
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        "DescribeNSM",
        {"Attestation": {"document": b"d"}},
        {"GetRandom": {"random": b""}},
        {"GetRandom": {"random": bytes(257)}},
        {"GetRandom": {"random": "text"}},
        {"GetRandom": {}},
        {"GetRandom": b"r"},
        {"GetRandom": {"random": b"r"}, "Error": "InternalError"},
        {"Error": 5},
        [],
        None,
    ],
)
def test_replies_to_another_question(reply: object) -> None:
    with pytest.raises(Malformed):
        Nsm(Canned(cbor2.dumps(reply))).random()


def test_descriptions_with_wrong_types() -> None:
    good = {
        "version_major": 1,
        "version_minor": 0,
        "version_patch": 0,
        "module_id": "i",
        "max_pcrs": 32,
        "locked_pcrs": [0],
        "digest": "SHA384",
    }
    assert Nsm(Canned(cbor2.dumps({"DescribeNSM": good | {"new": 1}}))).describe() == good
    for name in good:
        for wrong in (None, b"bytes", {}):
            with pytest.raises(Malformed):
                Nsm(Canned(cbor2.dumps({"DescribeNSM": good | {name: wrong}}))).describe()
    with pytest.raises(Malformed):
        Nsm(Canned(cbor2.dumps({"DescribeNSM": good | {"locked_pcrs": ["0"]}}))).describe()


def test_registers_with_wrong_types() -> None:
    for wrong in ({"lock": 1, "data": bytes(48)}, {"lock": True, "data": bytes(47)}, {}):
        with pytest.raises(Malformed):
            Nsm(Canned(cbor2.dumps({"DescribePCR": wrong}))).register(0)


@given(st.binary(max_size=200))
def test_junk_raises_only_our_errors(reply: bytes) -> None:
    for call in (Nsm.random, Nsm.describe, Nsm.attest):
        with pytest.raises(TrothError):
            call(Nsm(Canned(reply)))
