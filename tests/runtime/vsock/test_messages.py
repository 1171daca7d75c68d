"""vhost-user's messages: whole ones, dribbled ones, and whatever is none."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.vsock.front import BASE, GUARD, SIZE, USER

from troth.errors import Malformed
from troth.runtime.vsock import messages
from troth.runtime.vsock.memory import Region
from troth.runtime.vsock.messages import Message, Receiver, Request


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def _open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _whole(receiver: Receiver) -> Message:
    while (message := receiver.receive()) is None:
        pass
    return message


def test_messages_come_one_by_one_however_they_are_cut(pair) -> None:
    data = messages.HEADER.pack(Request.SET_FEATURES, 9, 8) + bytes(range(8))
    data += messages.HEADER.pack(Request.GET_FEATURES, 1, 0)
    receiver = Receiver(pair[0])
    found = []
    for place in range(len(data)):
        pair[1].send(data[place : place + 1])
        if (message := receiver.receive()) is not None:
            found.append(message)
    assert found == [
        Message(Request.SET_FEATURES, True, bytes(range(8)), []),
        Message(Request.GET_FEATURES, False, b"", []),
    ]
    with pytest.raises(BlockingIOError):
        receiver.receive()
    pair[1].close()
    with pytest.raises(EOFError):
        receiver.receive()


def test_files_belong_to_their_message_alone(pair) -> None:
    before = _open()
    one = messages.HEADER.pack(Request.SET_OWNER, 1, 0)
    two = messages.HEADER.pack(Request.SET_VRING_CALL, 1, 8)
    pair[1].send(one)
    socket.send_fds(pair[1], [two + bytes(8)], [1, 2])
    pair[1].send(one)
    receiver = Receiver(pair[0])
    first, second, third = (_whole(receiver) for _ in range(3))
    assert (first.files, len(second.files), third.files) == ([], 2, [])
    assert not any(os.get_inheritable(descriptor) for descriptor in second.files)
    second.drop()
    assert _open() == before


def test_too_many_files_are_refused_and_closed(pair) -> None:
    before = _open()
    socket.send_fds(pair[1], [messages.HEADER.pack(Request.SET_MEM_TABLE, 1, 8)], [0] * 9)
    receiver = Receiver(pair[0])
    with pytest.raises(Malformed, match="more than 8 files"):
        receiver.receive()
    receiver.close()
    assert _open() == before
    for _ in range(2):
        socket.send_fds(pair[1], [b"1234"], [0] * 5)
    receiver = Receiver(pair[0])
    assert receiver.receive() is None
    with pytest.raises(Malformed, match="more than 8 files"):
        receiver.receive()
    receiver.close()
    assert _open() == before


@pytest.mark.parametrize(
    ("head", "word"),
    [
        ((1, 1, 269), "size at byte 8: 269 bytes; 268 at most"),
        ((1, 1, 0xFFFFFFFF), "size"),
        ((1, 0, 0), "flags at byte 4: 0x0"),
        ((1, 2, 0), "flags"),
        ((1, 5, 0), "flags at byte 4: 0x5"),
        ((1, 0xFFFFFFF1, 0), "flags"),
        ((0, 1, 0), "request at byte 0: 0 is not offered"),
        ((4, 1, 0), "request"),
        ((17, 1, 0), "request"),
        ((40, 1, 0), "request"),
    ],
)
def test_what_is_no_message_is_refused_by_its_field(pair, head, word) -> None:
    pair[1].send(messages.HEADER.pack(*head))
    with pytest.raises(Malformed, match=word):
        _whole(Receiver(pair[0]))


def _message(request: Request, payload: bytes) -> Message:
    return Message(request, False, payload, [])


def test_payloads_have_one_size() -> None:
    good = _message(Request.SET_VRING_NUM, messages.STATE.pack(1, 128))
    assert messages.numbers(messages.STATE, good) == (1, 128)
    for payload in (b"", bytes(7), bytes(9)):
        with pytest.raises(Malformed, match="SET_VRING_NUM"):
            messages.numbers(messages.STATE, _message(Request.SET_VRING_NUM, payload))
    with pytest.raises(Malformed, match="GET_FEATURES"):
        messages.empty(_message(Request.GET_FEATURES, b"x"))


def test_a_table_has_as_many_regions_as_it_says() -> None:
    region = messages.REGION.pack(BASE, SIZE, USER, GUARD)
    table = messages.TABLE.pack(1, 0) + region
    assert messages.regions(_message(Request.SET_MEM_TABLE, table)) == [
        Region(guest=BASE, size=SIZE, user=USER, offset=GUARD)
    ]
    wrong = [
        *(table[:cut] for cut in range(len(table))),
        table + b"x",
        messages.TABLE.pack(0, 0),
        messages.TABLE.pack(9, 0) + region * 8,
        messages.TABLE.pack(2, 0) + region,
        messages.TABLE.pack(0xFFFFFFFF, 0) + region,
    ]
    for payload in wrong:
        with pytest.raises(Malformed):
            messages.regions(_message(Request.SET_MEM_TABLE, payload))


def test_which_ring_an_event_is_for() -> None:
    def read(value: int) -> tuple[int, bool]:
        payload = messages.U64.pack(value)
        return messages.ring_and_file(_message(Request.SET_VRING_KICK, payload))

    assert read(1) == (1, True)
    assert read(0x101) == (1, False)
    for value in (0x200, 1 << 32, 1 << 63):
        with pytest.raises(Malformed, match="is no ring"):
            read(value)
