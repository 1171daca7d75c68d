"""vhost-user's messages, as far as a vsock device needs them: read strictly, answered exactly.

A header of three numbers, a payload, and files that come along (QEMU's docs/interop/vhost-user).
"""

import array
import os
import socket
import struct
from enum import IntEnum
from typing import Final, NamedTuple

from troth.errors import Malformed
from troth.runtime.vsock.memory import MOST_REGIONS, Region

HEADER: Final = struct.Struct("<III")
U64: Final = struct.Struct("<Q")
STATE: Final = struct.Struct("<II")
ADDRESS: Final = struct.Struct("<IIQQQQ")
CONFIG: Final = struct.Struct("<III")
TABLE: Final = struct.Struct("<II")
REGION: Final = struct.Struct("<QQQQ")

MOST_CONFIG: Final = 256
MOST_PAYLOAD: Final = max(TABLE.size + MOST_REGIONS * REGION.size, CONFIG.size + MOST_CONFIG)

_VERSION: Final = 1
_VERSION_MASK: Final = 3
_REPLY: Final = 4
_NEED_REPLY: Final = 8
_INDEX_MASK: Final = 0xFF
_NO_DESCRIPTOR: Final = 0x100
_MOST_FILES: Final = MOST_REGIONS
_FLAGS: Final = int(socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
_CUT: Final = int(socket.MSG_CTRUNC)
_INT: Final = array.array("i").itemsize


class Request(IntEnum):
    """What a front end may ask."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    SET_VRING_ENABLE = 18
    GET_CONFIG = 24


class Message(NamedTuple):
    """A whole message.

    Attributes:
        request: what is asked.
        need_reply: whether an answer is wanted where there is none by nature.
        payload: its bytes.
        files: descriptors that came along. Whoever takes one removes it; the others are closed.
    """

    request: Request
    need_reply: bool
    payload: bytes
    files: list[int]

    def drop(self) -> None:
        """Closes the files that nobody took."""
        while self.files:
            os.close(self.files.pop())


class Receiver:
    """Puts messages together as their parts come in.

    Args:
        sock: the front end's connection, which does not block.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = bytearray()
        self._files: list[int] = []
        self._wanted = HEADER.size

    def receive(self) -> Message | None:
        """One step: a message if it is whole now.

        Raises:
            EOFError: the front end went away.
            BlockingIOError: nothing is there.
            Malformed: this is no message, or none that is known here.
            OSError: the connection broke.
        """
        # Never beyond this message: files come with the first of the bytes they were sent with.
        data, ancillary, flags, _ = self._sock.recvmsg(
            self._wanted - len(self._data),
            socket.CMSG_SPACE(_MOST_FILES * _INT),
            _FLAGS,
        )
        for level, kind, body in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._files += array.array("i", body[: len(body) // _INT * _INT])
        if flags & _CUT or len(self._files) > _MOST_FILES:
            raise Malformed(f"more than {_MOST_FILES} files came along", field="message")
        if not data:
            raise EOFError
        self._data += data
        if len(self._data) == HEADER.size == self._wanted:
            size = HEADER.unpack(self._data)[2]
            if size > MOST_PAYLOAD:
                raise Malformed(f"{size} bytes; {MOST_PAYLOAD} at most", field="size", offset=8)
            self._wanted += size
        if len(self._data) < self._wanted:
            return None
        message = self._whole()
        self._data.clear()
        self._wanted = HEADER.size
        return message

    def close(self) -> None:
        """Closes what came along with half a message."""
        while self._files:
            os.close(self._files.pop())

    def _whole(self) -> Message:
        number, flags, _ = HEADER.unpack_from(self._data)
        if flags & ~_NEED_REPLY != _VERSION:
            raise Malformed(f"{flags:#x} are no flags of a question", field="flags", offset=4)
        try:
            request = Request(number)
        except ValueError:
            raise Malformed(f"{number} is not offered here", field="request", offset=0) from None
        payload = bytes(self._data[HEADER.size :])
        files, self._files = self._files, []
        return Message(request, bool(flags & _NEED_REPLY), payload, files)


def reply(request: Request, payload: bytes) -> bytes:
    """The answer to a question."""
    return HEADER.pack(request, _VERSION | _REPLY, len(payload)) + payload


def numbers(layout: struct.Struct, message: Message) -> tuple[int, ...]:
    """The numbers of a payload that has this layout and nothing more.

    Raises:
        Malformed: it has another size.
    """
    if len(message.payload) != layout.size:
        raise Malformed(
            f"{len(message.payload)} bytes, not {layout.size}", field=message.request.name
        )
    return layout.unpack(message.payload)


def empty(message: Message) -> None:
    """States that there is no payload.

    Raises:
        Malformed: there is.
    """
    if message.payload:
        raise Malformed(f"{len(message.payload)} bytes, not 0", field=message.request.name)


def regions(message: Message) -> list[Region]:
    """The table of SET_MEM_TABLE. Its regions are not judged here.

    Raises:
        Malformed: the table has another size than it says, or too many regions.
    """
    field = message.request.name
    if len(message.payload) < TABLE.size:
        raise Malformed("the table is cut off", field=field)
    count, _ = TABLE.unpack_from(message.payload)
    if not 1 <= count <= MOST_REGIONS:
        raise Malformed(f"{count} regions; 1 to {MOST_REGIONS} can be", field=field)
    if len(message.payload) != TABLE.size + count * REGION.size:
        raise Malformed(f"{len(message.payload)} bytes for {count} regions", field=field)
    stated = REGION.iter_unpack(message.payload[TABLE.size :])
    return [Region(guest=g, size=s, user=u, offset=o) for g, s, u, o in stated]


def ring_and_file(message: Message) -> tuple[int, bool]:
    """Which ring a message with an event's descriptor is about, and whether one should be with it.

    Raises:
        Malformed: other bits are set.
    """
    (value,) = numbers(U64, message)
    if value & ~(_INDEX_MASK | _NO_DESCRIPTOR):
        raise Malformed(f"{value:#x} is no ring", field=message.request.name)
    return value & _INDEX_MASK, not value & _NO_DESCRIPTOR
