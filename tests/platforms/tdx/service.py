"""A trust domain's driver (linux/tdx-guest.h) and the quote service on its host (DCAP, qgs_msg_lib)."""

import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.platforms.fuse import Device

from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind

GET_REPORT = 0xC4405401
HEADER = struct.Struct("<HHIII")
LENGTHS = struct.Struct("<II")


@dataclass
class Driver:
    """`tdx_get_report0`.

    Attributes:
        refusals: errno of what the next requests are refused with.
        change: changes the report before the guest gets it.
        asked: how often.
    """

    refusals: list[int] = field(default_factory=list)
    change: Callable[[bytes], bytes] = lambda report: report
    asked: int = 0

    def __call__(self, fd: int, number: int, message: ctypes.Structure, /) -> object:
        """As a caller of ioctl has it."""
        assert os.fstat(fd)
        result, after = self.ioctl(number, bytes(message))
        ctypes.memmove(ctypes.addressof(message), after, len(after))
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def ioctl(self, number: int, message: bytes) -> tuple[int, bytes]:
        """Minus errno, and the message afterwards."""
        assert len(message) == 64 + 1024
        self.asked += 1
        code = self.refusals.pop(0) if self.refusals else 0
        if number != GET_REPORT:
            code = errno.ENOTTY
        if code:
            return -code, message
        return 0, message[:64] + self.change(td_report(message[:64])).ljust(1024, b"\0")


def device() -> Device:
    """A driver that is interrupted once."""
    return Device("/tdx_guest", Driver(refusals=[errno.EINTR]).ioctl)


def td_report(data: bytes) -> bytes:
    """TDREPORT_STRUCT: REPORTMACSTRUCT (256), TEE_TCB_INFO (239), reserved (17), TDINFO (512)."""
    head = bytes([0x81, 0, 0, 0]) + bytes(12 + 16 + 48 + 48) + data + bytes(32) + b"\xaa" * 32
    return head + bytes(239 + 17 + 512)


def answer(quote: bytes, **other: int) -> bytes:
    """A response of the service; `other` changes what its fields say."""
    said = {
        "major": 1,
        "minor": 1,
        "type": 1,
        "size": HEADER.size + LENGTHS.size + len(quote),
        "error": 0,
        "id_size": 0,
        "quote_size": len(quote),
        **other,
    }
    return HEADER.pack(*list(said.values())[:5]) + LENGTHS.pack(*list(said.values())[5:]) + quote


def framed(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


def quoted(pki: DevelopmentPki, kind: QuoteKind = QuoteKind.TDX_4) -> Callable[[bytes], bytes]:
    """The honest service: a request to its response."""

    def respond(request: bytes) -> bytes:
        size, major, _, what, inner, error, report_size, id_size = struct.unpack_from(
            ">I", request
        ) + struct.unpack_from("<HHIIIII", request, 4)
        assert (major, what, error, id_size) == (1, 0, 0, 0)
        assert size == inner == len(request) - 4
        assert report_size == 1024 == size - 24
        report = request[28:]
        assert report[0] == 0x81
        return framed(answer(pki.quote(kind, fields={"reportdata": report[128:192]})))

    return respond


@contextmanager
def listening(path: Path, *responses: Callable[[bytes], bytes]) -> Iterator[str]:
    """A unix socket at which one request after the other gets one of these responses."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        trouble: list[BaseException] = []

        def serve() -> None:
            try:
                for respond in responses:
                    connection, _ = listener.accept()
                    with connection:
                        request = connection.recv(4 + 24 + 1024, socket.MSG_WAITALL)
                        connection.sendall(respond(request))
            except BaseException as error:  # noqa: BLE001 - the test's thread raises it
                trouble.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield str(path)
        thread.join(10)
        assert not thread.is_alive()
        assert not trouble, trouble
