"""One front end's visit: QEMU tells where the guest's memory and rings are, and when they run.

Any message out of its form or place ends the visit, and with it all streams: half a device is none.
"""

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from troth.errors import Malformed
from troth.runtime.vsock import messages
from troth.runtime.vsock.device import Device
from troth.runtime.vsock.loop import IN, Loop
from troth.runtime.vsock.memory import Memory
from troth.runtime.vsock.messages import Message, Receiver, Request
from troth.runtime.vsock.ring import MOST_ENTRIES, Layout, Ring

INDIRECT: Final = 1 << 28
PROTOCOL: Final = 1 << 30
VERSION_1: Final = 1 << 32
FEATURES: Final = INDIRECT | PROTOCOL | VERSION_1
REPLY_ACK: Final = 1 << 3
CONFIG: Final = 1 << 9
PROTOCOL_FEATURES: Final = REPLY_ACK | CONFIG

RX: Final = 0
TX: Final = 1
_NAMES: Final = ("rx", "tx")
_EVENT: Final = "anon_inode:[eventfd]"
_WITH_FILES: Final = frozenset(
    {
        Request.SET_MEM_TABLE,
        Request.SET_VRING_KICK,
        Request.SET_VRING_CALL,
        Request.SET_VRING_ERR,
    }
)


@dataclass(slots=True)
class Setup:
    """What is known of a ring. It runs when all of it is, and it is enabled."""

    size: int = 0
    addresses: tuple[int, int, int] | None = None
    base: int = 0
    enabled: bool = False
    kick: int | None = None
    call: int | None = None
    err: int | None = None
    ring: Ring | None = None


class Session:
    """A front end's visit, from its connection to its end.

    Args:
        loop: where the connection and the rings' events are watched.
        sock: the connection, which does not block.
        device: what the rings are for.
        cid: the guest's, which is all the device's configuration.
        end: called once when it is over, with the reason.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        device: Device,
        *,
        cid: int,
        end: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._device = device
        self._config = messages.U64.pack(cid)
        self._end = end
        self._receiver = Receiver(sock)
        self._features: int | None = None
        self._protocol = 0
        self._memory: Memory | None = None
        self._setups = (Setup(), Setup())
        self._over = False
        loop.watch(sock.fileno(), IN, self._readable)

    def pump(self) -> bool:
        """Moves packets; whether there is more to move."""
        try:
            more = self._device.pump()
        except Malformed as error:
            # A broken ring does not mend. The front end may set the device up anew.
            for setup in self._setups:
                if setup.err is not None:
                    with contextlib.suppress(OSError):
                        os.eventfd_write(setup.err, 1)
            self.close(f"the guest's rings: {error}")
            return False
        for setup in self._setups:
            if setup.ring is not None:
                setup.ring.signal(setup.call)
        return more

    def close(self, reason: str) -> None:
        """Ends the visit: the streams, the rings, the memory, the connection."""
        if self._over:
            return
        self._over = True
        self._device.stop()
        self._receiver.close()
        for setup in self._setups:
            setup.ring = None
            for name in ("kick", "call", "err"):
                self._replace(setup, name, None)
        if self._memory is not None:
            self._memory.close()
        self._loop.dispose(self._sock)
        self._end(reason)

    def _readable(self, _: int) -> None:
        message = None
        try:
            while message is None:
                message = self._receiver.receive()
        except BlockingIOError:
            return
        except (EOFError, OSError):
            self.close("the front end went away")
            return
        except Malformed as error:
            self.close(f"the front end's {error}")
            return
        try:
            answer = self._answer(message)
            if answer is not None:
                self._send(messages.reply(message.request, answer))
        except Malformed as error:
            if message.need_reply and self._protocol & REPLY_ACK:
                with contextlib.suppress(OSError):
                    self._send(messages.reply(message.request, messages.U64.pack(1)))
            self.close(f"the front end's {error}")
        except OSError as error:
            self.close(f"the front end can't be answered: {error.strerror}")
        finally:
            message.drop()

    def _send(self, data: bytes) -> None:
        # A front end asks and reads in turn; one whose socket is full does not read.
        if self._sock.send(data, socket.MSG_NOSIGNAL) != len(data):
            raise BlockingIOError(0, "it does not read")

    # What is asked

    def _answer(self, message: Message) -> bytes | None:
        """Does what a message asks for.

        Raises:
            Malformed: it has another form, or is not in its place.
        """
        if message.files and message.request not in _WITH_FILES:
            raise Malformed("a file came along", field=message.request.name)
        asked = self._QUESTIONS.get(message.request)
        if asked is not None:
            return asked(self, message)
        self._ORDERS[message.request](self, message)
        if message.need_reply and self._protocol & REPLY_ACK:
            return messages.U64.pack(0)
        return None

    def _get_features(self, message: Message) -> bytes:
        messages.empty(message)
        return messages.U64.pack(FEATURES)

    def _get_protocol_features(self, message: Message) -> bytes:
        messages.empty(message)
        return messages.U64.pack(PROTOCOL_FEATURES)

    def _get_config(self, message: Message) -> bytes:
        field = message.request.name
        head, body = (
            message.payload[: messages.CONFIG.size],
            message.payload[messages.CONFIG.size :],
        )
        if len(head) < messages.CONFIG.size:
            raise Malformed("is cut off", field=field)
        offset, size, _ = messages.CONFIG.unpack(head)
        if size != len(body) or offset + size > len(self._config):
            raise Malformed(f"{size} bytes at {offset} of {len(self._config)}", field=field)
        return head + self._config[offset : offset + size]

    def _get_vring_base(self, message: Message) -> bytes:
        index, _ = messages.numbers(messages.STATE, message)
        setup = self._setup(message, index)
        # With one ring there is no device. Whatever the guest does next, it has no streams of ours then.
        self._device.stop()
        if setup.ring is not None:
            setup.base = setup.ring.base
            setup.ring = None
        self._replace(setup, "kick", None)
        return messages.STATE.pack(index, setup.base)

    def _set_owner(self, message: Message) -> None:
        messages.empty(message)

    def _set_features(self, message: Message) -> None:
        (self._features,) = self._some_of(message, FEATURES)
        self._refresh()

    def _set_protocol_features(self, message: Message) -> None:
        (self._protocol,) = self._some_of(message, PROTOCOL_FEATURES)

    def _set_mem_table(self, message: Message) -> None:
        memory = Memory(messages.regions(message), message.files)
        old, self._memory = self._memory, memory
        for setup in self._setups:
            if setup.ring is not None:
                setup.base, setup.ring = setup.ring.base, None
        self._refresh()
        if old is not None:
            old.close()

    def _set_vring_num(self, message: Message) -> None:
        index, size = messages.numbers(messages.STATE, message)
        if not 1 <= size <= MOST_ENTRIES or size & (size - 1):
            raise Malformed(f"a ring of {size} entries", field=message.request.name)
        self._resting(message, index).size = size

    def _set_vring_base(self, message: Message) -> None:
        index, base = messages.numbers(messages.STATE, message)
        if base > 0xFFFF:
            raise Malformed(f"{base} is no index", field=message.request.name)
        self._resting(message, index).base = base

    def _set_vring_addr(self, message: Message) -> None:
        index, flags, descriptors, used, available, _ = messages.numbers(messages.ADDRESS, message)
        if flags:
            raise Malformed(f"flags {flags:#x} are not offered", field=message.request.name)
        self._resting(message, index).addresses = (descriptors, available, used)
        self._refresh()

    def _set_vring_enable(self, message: Message) -> None:
        index, enabled = messages.numbers(messages.STATE, message)
        if enabled > 1:
            raise Malformed(f"{enabled} is not yes or no", field=message.request.name)
        self._setup(message, index).enabled = bool(enabled)
        self._refresh()

    def _set_vring_kick(self, message: Message) -> None:
        setup = self._take_event(message, "kick")
        if setup.kick is None:
            raise Malformed("a ring without a kick is not offered", field=message.request.name)
        self._loop.watch(setup.kick, IN, lambda _: _drain(setup))
        self._refresh()

    def _set_vring_call(self, message: Message) -> None:
        self._take_event(message, "call")

    def _set_vring_err(self, message: Message) -> None:
        self._take_event(message, "err")

    # Helpers

    def _some_of(self, message: Message, offered: int) -> tuple[int]:
        (value,) = messages.numbers(messages.U64, message)
        if value & ~offered:
            raise Malformed(f"{value & ~offered:#x} is not offered", field=message.request.name)
        return (value,)

    def _setup(self, message: Message, index: int) -> Setup:
        if index >= len(self._setups):
            raise Malformed(f"there is no ring {index}", field=message.request.name)
        return self._setups[index]

    def _resting(self, message: Message, index: int) -> Setup:
        setup = self._setup(message, index)
        if setup.ring is not None:
            raise Malformed(f"ring {index} runs", field=message.request.name)
        return setup

    def _take_event(self, message: Message, name: str) -> Setup:
        index, comes = messages.ring_and_file(message)
        setup = self._setup(message, index)
        if len(message.files) != comes:
            raise Malformed(f"{len(message.files)} files came along", field=message.request.name)
        if comes and str(Path(f"/proc/self/fd/{message.files[0]}").readlink()) != _EVENT:
            raise Malformed("its file is no event", field=message.request.name)
        if comes:
            os.set_blocking(message.files[0], False)
        self._replace(setup, name, message.files.pop() if comes else None)
        return setup

    def _replace(self, setup: Setup, name: str, descriptor: int | None) -> None:
        old = getattr(setup, name)
        setattr(setup, name, descriptor)
        if old is not None:
            self._loop.dispose(_Descriptor(old))

    def _refresh(self) -> None:
        """Rings that have all they need begin; a ring that lost something rests.

        A driver need not speak VERSION_1: QEMU's virtio-mmio is of the older kind unless told otherwise,
        and on a little-endian machine its rings are the same.
        """
        for index, setup in enumerate(self._setups):
            runs = (
                self._memory is not None
                and setup.size
                and setup.addresses is not None
                and setup.kick is not None
                and self._features is not None
                and (setup.enabled or not self._features & PROTOCOL)
            )
            if not runs and setup.ring is not None:
                setup.base, setup.ring = setup.ring.base, None
            elif runs and setup.ring is None:
                self._start(index, setup)
        if self._device.running() and not all(setup.ring for setup in self._setups):
            self._device.stop()
        self._device.rx, self._device.tx = (setup.ring for setup in self._setups)

    def _start(self, index: int, setup: Setup) -> None:
        features = self._features
        if self._memory is None or setup.addresses is None or features is None:
            raise AssertionError("it does not have all that it needs")
        descriptors, available, used = setup.addresses
        layout = Layout(size=setup.size, descriptors=descriptors, available=available, used=used)
        try:
            setup.ring = Ring(
                layout,
                self._memory,
                base=setup.base,
                writable=index == RX,
                indirect=bool(features & INDIRECT),
            )
        except Malformed as error:
            raise Malformed(str(error), field=f"{_NAMES[index]} ring") from None

    _QUESTIONS: ClassVar[dict[Request, Callable[["Session", Message], bytes]]] = {
        Request.GET_FEATURES: _get_features,
        Request.GET_PROTOCOL_FEATURES: _get_protocol_features,
        Request.GET_CONFIG: _get_config,
        Request.GET_VRING_BASE: _get_vring_base,
    }
    _ORDERS: ClassVar[dict[Request, Callable[["Session", Message], None]]] = {
        Request.SET_OWNER: _set_owner,
        Request.SET_FEATURES: _set_features,
        Request.SET_PROTOCOL_FEATURES: _set_protocol_features,
        Request.SET_MEM_TABLE: _set_mem_table,
        Request.SET_VRING_NUM: _set_vring_num,
        Request.SET_VRING_BASE: _set_vring_base,
        Request.SET_VRING_ADDR: _set_vring_addr,
        Request.SET_VRING_ENABLE: _set_vring_enable,
        Request.SET_VRING_KICK: _set_vring_kick,
        Request.SET_VRING_CALL: _set_vring_call,
        Request.SET_VRING_ERR: _set_vring_err,
    }


@dataclass(frozen=True, slots=True)
class _Descriptor:
    number: int

    def fileno(self) -> int:
        return self.number

    def close(self) -> None:
        os.close(self.number)


def _drain(setup: Setup) -> None:
    """Takes a kick as heard. Whatever it was for is found by looking at the ring after that."""
    if setup.kick is not None:
        with contextlib.suppress(OSError):
            os.eventfd_read(setup.kick)
