"""The kernel's side of `/dev/sev-guest`, as drivers/virt/coco/sev-guest/sev-guest.c has it.

It reads and writes the asking process's memory, which is this one, by the addresses that it is given.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

GET_REPORT, GET_EXTENDED_REPORT = 0xC0205300, 0xC0205302
MESSAGE = struct.Struct("<B7xQQII")
REQUEST = struct.Struct("<64sI28s")
EXTENDED = struct.Struct("<96sQI4x")
PAGE = 4096
MOST = 16 * 1024  # SEV_FW_BLOB_MAX_SIZE
INVALID_LEN, BUSY = 1, 2
INVALID_PARAM = 0x16


@dataclass
class Driver:
    """The driver, the host and the secure processor behind it.

    Attributes:
        report: data and VMPL to a report.
        table: what the host sends along; none if empty.
        lowest: the VMPL that the guest runs at.
        refusals: what to refuse the next requests with: errno, firmware's and host's error.
        answer: changes the response before the guest gets it.
        before: called before each request with the size of the table that the guest has room for.
        asked: ioctl numbers, in order.
    """

    report: Callable[[bytes, int], bytes]
    table: bytes = b""
    lowest: int = 0
    refusals: list[tuple[int, int, int]] = field(default_factory=list)
    answer: Callable[[bytes], bytes] = lambda response: response
    before: Callable[[int], None] = lambda _room: None
    asked: list[int] = field(default_factory=list)

    def __call__(self, fd: int, number: int, message: ctypes.Structure, /) -> object:
        """As a caller of ioctl has it."""
        assert os.fstat(fd)
        result, after = self.ioctl(number, bytes(message))
        ctypes.memmove(ctypes.addressof(message), after, len(after))
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def ioctl(self, number: int, message: bytes) -> tuple[int, bytes]:
        """`snp_guest_ioctl`: minus errno, and the message afterwards."""
        version, asked_at, answer_at, _, _ = MESSAGE.unpack(message)
        self.asked.append(number)
        code, firmware, host = self.refusals.pop(0) if self.refusals else (0, 0xFF, 0)
        if not version or not asked_at or not answer_at:
            code = errno.EINVAL
        elif number == GET_REPORT:
            if not code:
                firmware = self.reported(ctypes.string_at(asked_at, REQUEST.size), answer_at)
        elif number == GET_EXTENDED_REPORT:
            if not code:
                code, firmware, host = self.extended(asked_at, answer_at)
        else:
            code = errno.ENOTTY
        return -code, MESSAGE.pack(version, asked_at, answer_at, firmware, host)

    def reported(self, request: bytes, answer_at: int) -> int:
        data, vmpl, reserved = REQUEST.unpack(request)
        if any(reserved) or not self.lowest <= vmpl <= 3:
            response = struct.pack("<II24x", INVALID_PARAM, 0)
        else:
            report = self.report(data, vmpl)
            response = struct.pack("<II24x", 0, len(report)) + report
        ctypes.memmove(answer_at, self.answer(response.ljust(4000, b"\0")), 4000)
        return 0

    def extended(self, asked_at: int, answer_at: int) -> tuple[int, int, int]:
        request, table_at, room = EXTENDED.unpack(ctypes.string_at(asked_at, EXTENDED.size))
        if not table_at:
            room = 0
        if room > MOST or room % PAGE:
            return errno.EINVAL, 0xFF, 0
        self.before(room)
        needed = -(-len(self.table) // PAGE) * PAGE
        if needed > room:
            after = EXTENDED.pack(request, table_at, needed)
            ctypes.memmove(asked_at, after, len(after))
            return errno.EIO, 0, INVALID_LEN
        if room:
            ctypes.memmove(table_at, self.table.ljust(room, b"\0"), room)
        return 0, self.reported(request, answer_at), 0
