"""One stream: a socket on the host, credit both ways, and what the guest is still owed.

Bytes from the guest wait here when the host's program is slow, never more than the credit that the
guest was given. Bytes for the guest wait in the host's socket until the guest has credit and a buffer.
"""

import socket
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

from troth.runtime.vsock.packets import NO_RECEIVE, NO_SEND, NOTHING_MORE, STREAM, Header, Op

# What each stream may keep waiting for a slow program on the host.
ROOM: Final = 1 << 17
MOST_PAYLOAD: Final = 1 << 16
# The guest hears of room when this much of it is news. It waits with a quarter used up at most.
_NEWS: Final = ROOM // 4
# Less than this is not worth a packet while more waits: a guest's bookkeeping for one is larger.
_SLIVER: Final = 2048
_QUIETLY: Final = int(socket.MSG_NOSIGNAL)
_WRAP: Final = 0xFFFF_FFFF


class Key(NamedTuple):
    """What tells a guest's streams apart.

    Attributes:
        cid: the host, by the name that the guest used.
        port: the host's.
        peer: the guest's port.
    """

    cid: int
    port: int
    peer: int


class State(Enum):
    """How far a stream is."""

    ASKED = auto()  # the guest has yet to answer
    OPEN = auto()
    OVER = auto()  # nothing goes either way; the guest has yet to say that it knows


class Stream:
    """One stream of the guest's.

    Args:
        key: its name.
        sock: the host's end, which does not block.
        state: `ASKED` if the host began it.
    """

    __slots__ = (
        "_forwarded",
        "_peer_forwarded",
        "_peer_room",
        "_received",
        "_sent",
        "_told",
        "buffer",
        "dead",
        "ended",
        "guest_shut",
        "key",
        "mask",
        "owes_credit",
        "owes_question",
        "owes_word",
        "sock",
        "starved",
        "state",
        "told_shut",
    )  # fmt: skip

    def __init__(self, key: Key, sock: socket.socket, state: State) -> None:
        self.key = key
        self.sock = sock
        self.state = state
        self.buffer = bytearray()
        self.mask: int | None = None  # what the loop watches the socket for
        self.owes_word = True  # the REQUEST or RESPONSE
        self.owes_credit = False
        self.owes_question = False
        self.starved = False
        self.ended = False  # the host's program sends no more
        self.dead = False  # the host's program takes no more
        self.guest_shut = 0
        self.told_shut = 0
        self._received = self._forwarded = self._told = 0
        self._sent = self._peer_room = self._peer_forwarded = 0

    # Credit

    def hear(self, header: Header) -> None:
        """Takes note of what the guest has room for."""
        self._peer_room = header.buf_alloc
        self._peer_forwarded = header.fwd_cnt
        if self.starved and self.credit():
            self.starved = self.owes_question = False

    def credit(self) -> int:
        """How many bytes the guest can be sent now; 0 as well for less than is worth a packet."""
        waiting = (self._sent - self._peer_forwarded) & _WRAP
        free = self._peer_room - waiting
        if free <= 0 or (waiting and free < min(_SLIVER, self._peer_room // 4)):
            return 0
        return min(free, MOST_PAYLOAD)

    def starve(self) -> None:
        """Nothing can be sent until there is credit; the guest is asked, once, whether that is still so."""
        self.starved = self.owes_question = True

    # From the guest

    def accept(self, views: Sequence[memoryview], length: int) -> bool:
        """Takes bytes from the guest: on to the host at once, or else into the buffer.

        Returns:
            Whether the guest had the credit for them; if not, nothing is taken.
        """
        if ((self._received - self._forwarded) & _WRAP) + length > ROOM:
            return False
        self._received = (self._received + length) & _WRAP
        sent = 0
        if self.dead:
            sent = length
        elif length and not self.buffer:
            sent = self._send(views, length)
        if sent < length:
            self._keep(views, sent)
        self._forward(sent)
        return True

    def flush(self) -> None:
        """Sends of the buffer what the host takes."""
        if self.buffer and not self.dead:
            with memoryview(self.buffer) as view:
                sent = self._send([view], len(view))
            del self.buffer[:sent]
            self._forward(sent)
        if self.dead:
            self._forward(len(self.buffer))
            self.buffer.clear()
        elif not self.buffer and self.guest_shut & NO_SEND:
            self._shut(socket.SHUT_WR)

    def shut(self, flags: int) -> None:
        """The guest will not send, or not receive, any more."""
        self.guest_shut |= flags & NOTHING_MORE
        if self.guest_shut & NO_RECEIVE and not self.ended:
            self._shut(socket.SHUT_RD)
            self.ended = True
        self.flush()

    # To the guest

    def read(self, views: Sequence[memoryview]) -> int | None:
        """Puts bytes from the host into the guest's buffers; None if there are none now.

        The end of the host's bytes is 0, and noted.
        """
        try:
            count = (
                self.sock.recvmsg_into(views)[0]
                if len(views) > 1
                else self.sock.recv_into(views[0])
            )
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            # What it had to say was read; that it closed over what it was told is told the guest.
            count, self.dead = 0, True
        if not count:
            self.ended = True
        self._sent = (self._sent + count) & _WRAP
        return count

    def owed_shut(self) -> int:
        """The flags of the SHUTDOWN that the guest has yet to hear; 0 if it knows all."""
        flags = (NO_SEND if self.ended else 0) | (NO_RECEIVE if self.dead else 0)
        return flags if flags != self.told_shut else 0

    def owes(self) -> bool:
        """Whether the guest is owed a packet that has no bytes behind it."""
        if self.state is State.ASKED:
            return self.owes_word
        return self.owes_word or self.owes_credit or self.owes_question or bool(self.owed_shut())

    def say(self, cid: int) -> Header:
        """The next packet that is owed, which counts as sent with that."""
        if self.owes_word:
            self.owes_word = False
            op = Op.REQUEST if self.state is State.ASKED else Op.RESPONSE
            return self.header(cid, op)
        if flags := self.owed_shut():
            self.told_shut = flags
            return self.header(cid, Op.SHUTDOWN, flags=flags)
        if self.owes_question:
            self.owes_question = False
            return self.header(cid, Op.CREDIT_REQUEST)
        self.owes_credit = False
        return self.header(cid, Op.CREDIT_UPDATE)

    def header(self, cid: int, op: Op, *, length: int = 0, flags: int = 0) -> Header:
        """A header to the guest, which says what room there is."""
        self._told = self._forwarded
        self.owes_credit = False
        key = self.key
        return Header(
            key.cid, cid, key.port, key.peer, length, STREAM, op, flags, ROOM, self._forwarded
        )

    # Helpers

    def _forward(self, count: int) -> None:
        self._forwarded = (self._forwarded + count) & _WRAP
        if ((self._forwarded - self._told) & _WRAP) >= _NEWS:
            self.owes_credit = True

    def _send(self, views: Sequence[memoryview], length: int) -> int:
        try:
            if len(views) == 1:
                return self.sock.send(views[0], _QUIETLY)
            return self.sock.sendmsg(views, [], _QUIETLY)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # Nobody reads there any more. What the host sent before that is still to come.
            self.dead = True
            return length

    def _keep(self, views: Sequence[memoryview], skip: int) -> None:
        for view in views:
            if skip < len(view):
                self.buffer += view[skip:]
            skip = max(0, skip - len(view))

    def _shut(self, how: int) -> None:
        try:
            self.sock.shutdown(how)
        except OSError:
            return
