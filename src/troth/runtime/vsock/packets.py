"""Packets of virtio-vsock: a header of 44 bytes, and bytes of a stream behind it (virtio 1.2, 5.10.6)."""

import struct
from enum import IntEnum
from typing import Final, NamedTuple

HEADER: Final = struct.Struct("<QQIIIHHIII")
STREAM: Final = 1

# Flags of SHUTDOWN: what its sender will not do any more.
NO_RECEIVE: Final = 1
NO_SEND: Final = 2
NOTHING_MORE: Final = NO_RECEIVE | NO_SEND


class Op(IntEnum):
    """What a packet is for."""

    REQUEST = 1
    RESPONSE = 2
    RST = 3
    SHUTDOWN = 4
    RW = 5
    CREDIT_UPDATE = 6
    CREDIT_REQUEST = 7


class Header(NamedTuple):
    """The header, field by field in its order; nothing of it is checked yet.

    Attributes:
        op: an `Op`, or whatever a guest wrote there.
        length: of the bytes behind the header.
        buf_alloc: how many bytes of this stream its sender has room for.
        fwd_cnt: how many of the bytes that it received its sender has passed on, modulo 2^32.
    """

    src_cid: int
    dst_cid: int
    src_port: int
    dst_port: int
    length: int
    type: int
    op: int
    flags: int
    buf_alloc: int
    fwd_cnt: int

    def pack(self) -> bytes:
        """The header's 44 bytes."""
        return HEADER.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> "Header":
        """Reads exactly 44 bytes."""
        return cls._make(HEADER.unpack(data))
