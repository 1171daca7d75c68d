"""The device's side of a split virtqueue (virtio 1.2, 2.7): chains out of it, and back into it.

The guest writes all of it at any time. Every number is read once and judged after that; a chain is
walked within the ring's size, so loops end; each buffer is looked up in the guest's memory as a whole.

EVENT_IDX is not offered, and whether the driver wants to be interrupted is not asked: both save some
interrupts, and both need a full memory barrier between a store and a load, which Python does not have.
One interrupt a batch costs less than a lost one. For the same reason this is for machines whose loads
and stores stay in order (x86-64).
"""

import contextlib
import os
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from troth.errors import Malformed
from troth.runtime.vsock.memory import Memory

MOST_ENTRIES: Final = 1024
_DESCRIPTOR: Final = struct.Struct("<QIHH")
_NEXT: Final = 1
_WRITE: Final = 2
_INDIRECT: Final = 4
_WRAP: Final = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a ring is, in the front end's addresses.

    Attributes:
        size: how many entries; a power of two.
        descriptors: of the descriptor table.
        available: of the ring of the driver's.
        used: of the ring of the device's.
    """

    size: int
    descriptors: int
    available: int
    used: int


class Chain(NamedTuple):
    """Buffers that belong together.

    Attributes:
        head: the index by which they are given back.
        views: the buffers, each in the guest's memory.
        total: bytes in all.
    """

    head: int
    views: list[memoryview]
    total: int


class Ring:
    """One ring that runs.

    Args:
        layout: where it is.
        memory: what it is in.
        base: the next available entry.
        writable: whether its buffers are for the device to write, or else to read.
        indirect: whether tables of descriptors were agreed on.

    Raises:
        Malformed: it is not in the guest's memory, or not aligned.
    """

    def __init__(
        self, layout: Layout, memory: Memory, *, base: int, writable: bool, indirect: bool
    ) -> None:
        self.size = layout.size
        self.base = base
        self._memory = memory
        self._writable = writable
        self._indirect = indirect
        for name, alignment in (("descriptors", 16), ("available", 2), ("used", 4)):
            if getattr(layout, name) % alignment:
                raise Malformed(f"{name} are not at a multiple of {alignment}", field="ring")
        self._table = memory.user(layout.descriptors, 16 * self.size)
        # Whole numbers of the machine's own width are read and written at once, never by halves.
        self._available = memory.user(layout.available, 4 + 2 * self.size).cast("H")
        used = memory.user(layout.used, 4 + 8 * self.size)
        self._used_entries = used.cast("I")
        self._used_index = used[:4].cast("H")
        self._used = self._used_index[1]
        self._seen = base
        self._chain: Chain | None = None
        self._unsaid = False

    def peek(self) -> Chain | None:
        """The next chain, which stays the next until it is pushed; None if there is none.

        Raises:
            Malformed: the ring or the chain breaks the rules; the ring can't go on.
        """
        if self._chain is None:
            if self._seen == self.base:
                self._seen = self._available[1]
                waiting = (self._seen - self.base) & _WRAP
                if waiting > self.size:
                    raise Malformed(f"{waiting} entries wait in {self.size}", field="available")
                if not waiting:
                    return None
            self._chain = self._walk(self._available[2 + self.base % self.size])
        return self._chain

    def push(self, written: int) -> None:
        """Gives the next chain back.

        Args:
            written: bytes at its beginning that now hold something.
        """
        chain = self._chain
        if chain is None:
            raise AssertionError("nothing was taken")
        at = 1 + 2 * (self._used % self.size)
        self._used_entries[at] = chain.head
        self._used_entries[at + 1] = written
        # The entry before the index that makes it valid.
        self._used = (self._used + 1) & _WRAP
        self._used_index[1] = self._used
        self.base = (self.base + 1) & _WRAP
        self._chain = None
        self._unsaid = True

    def signal(self, call: int | None) -> None:
        """Interrupts the driver if anything was pushed since the last time."""
        if self._unsaid and call is not None:
            # Where the counter is full the driver has not looked at it yet, and will.
            with contextlib.suppress(BlockingIOError):
                os.eventfd_write(call, 1)
        self._unsaid = False

    def _walk(self, head: int) -> Chain:
        table, count, index, inside = self._table, self.size, head, False
        views: list[memoryview] = []
        total = 0
        for _ in range(self.size + 1):
            if index >= count:
                raise Malformed(f"is number {index} of {count}", field="descriptor")
            address, length, flags, following = _DESCRIPTOR.unpack_from(table, 16 * index)
            if flags & _INDIRECT:
                if inside or not self._indirect or flags != _INDIRECT:
                    raise Malformed("may not be indirect here", field="descriptor")
                if not length or length % 16 or length > 16 * self.size:
                    raise Malformed(f"names a table of {length} bytes", field="descriptor")
                table = self._memory.guest(address, length)
                count, index, inside = length // 16, 0, True
                continue
            if flags & ~(_NEXT | _WRITE):
                raise Malformed(f"has flags {flags:#x}", field="descriptor")
            if bool(flags & _WRITE) is not self._writable:
                word = "readable" if self._writable else "writable"
                raise Malformed(f"is {word} in a ring of the other kind", field="descriptor")
            if not length:
                raise Malformed("is empty", field="descriptor")
            views.append(self._memory.guest(address, length))
            total += length
            if not flags & _NEXT:
                return Chain(head, views, total)
            index = following
        raise Malformed(f"a chain is longer than its ring of {self.size}", field="descriptor")
