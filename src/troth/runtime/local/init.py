#!/usr/bin/python3.13 -IS
"""What boots in front of an image's own `/init` on a machine of this user's: it makes `/dev/nsm`.

It stands in a ramdisk of its own, which no measurement covers and no shipped image holds. It runs in the
guest, on the image's Python, and its words go to the console. Requests go to the host's simulated security
module over vsock; the device is a character device with the driver's ioctl where the kernel can have one
from a process (CUSE), else a unix socket. When it is there, this folder removes itself and the image's
`/init` takes over.
"""

import os
import struct
import sys
import time

import _socket  # the module `socket` takes a tenth of a second here

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes

HERE = "/troth-local"
DEVICE = "/dev/nsm"
PORT = 9002
HOST = 3
MAX_REQUEST = 0x1000
MAX_REPLY = 0x3000
IOCTL = 0xC0200A00
_AF_UNIX, _AF_VSOCK, _STREAM = 1, 40, 1
_FINIT_MODULE = 313
_CONNECT_TIMEOUT = 6
_EIO, _EINVAL, _EMSGSIZE, _ENOTTY, _ENOSYS = 5, 22, 90, 25, 38

_IN = struct.Struct("=IIQQIIII")  # length, opcode, unique, node, user, group, process, extensions
_OUT = struct.Struct("=IiQ")  # length, error, unique
_INIT_OUT = struct.Struct(
    "=8I40x"
)  # version, -, flags, longest read and write, device number, spare
_IOCTL_IN = struct.Struct("=QIIQII")  # handle, flags, command, argument, sizes in and out
_IOCTL_OUT = struct.Struct("=iIII")  # result, flags, vectors in and out
_OPEN_OUT = struct.Struct("=QII")
_MESSAGE = struct.Struct("=QQQQ")  # addresses and lengths of request and reply
_OPEN, _WRITE, _RELEASE, _FLUSH, _INTERRUPT, _IOCTL, _CUSE_INIT = 14, 16, 18, 25, 36, 39, 4096
_UNRESTRICTED, _RETRY = 1, 4


def ask(request: bytes) -> bytes:
    """One request to the host's module, over a connection of its own."""
    sock = _socket.socket(_AF_VSOCK, _STREAM)
    try:
        # The kernel's own patience is two seconds, and a busy host is no refusal.
        patience = struct.pack("=qq", 30, 0)
        library().setsockopt(sock.fileno(), _AF_VSOCK, _CONNECT_TIMEOUT, patience, len(patience))
        sock.connect((HOST, PORT))
        sock.sendall(struct.pack(">I", len(request)) + request)
        size = int.from_bytes(exactly(sock, 4), "big")
        if size > MAX_REPLY:
            raise OSError(_EMSGSIZE, "a reply too long")
        return exactly(sock, size)
    finally:
        sock.close()


def exactly(sock: _socket.socket, size: int) -> bytes:
    """So many bytes."""
    got = b""
    while len(got) < size:
        part = sock.recv(size - len(got))
        if not part:
            raise OSError(_EIO, "the connection ended")
        got += part
    return got


class Cuse:
    """A character device whose driver is this process."""

    what = "device"

    def __init__(self) -> None:
        for name in ("fuse.ko", "cuse.ko"):  # some kernels have the former built in
            if os.path.exists(f"{HERE}/{name}"):
                load(f"{HERE}/{name}")
        self.file = os.open("/dev/cuse", os.O_RDWR | os.O_CLOEXEC)
        asked = os.read(self.file, 1 << 17)
        _, opcode, unique, *_ = _IN.unpack_from(asked)
        if opcode != _CUSE_INIT:
            raise OSError(_EINVAL, "no CUSE")
        major, minor = struct.unpack_from("=II", asked, _IN.size)
        answer = _INIT_OUT.pack(major, minor, 0, _UNRESTRICTED, 1 << 16, 1 << 16, 0, 0)
        self.reply(unique, answer + b"DEVNAME=nsm\0")

    def reply(self, unique: int, body: bytes = b"", error: int = 0) -> None:
        """An answer to the kernel."""
        os.write(self.file, _OUT.pack(_OUT.size + len(body), -error, unique) + body)

    def serve(self) -> None:
        """Answers until the machine ends."""
        while True:
            asked = os.read(self.file, 1 << 17)
            _, opcode, unique, *_ = _IN.unpack_from(asked)
            body = asked[_IN.size :]
            if opcode == _OPEN:
                self.reply(unique, _OPEN_OUT.pack(0, 0, 0))
            elif opcode in (_RELEASE, _FLUSH):
                self.reply(unique)
            elif opcode == _IOCTL:
                self.ioctl(unique, body)
            elif opcode != _INTERRUPT:
                self.reply(unique, error=_ENOSYS)

    def ioctl(self, unique: int, body: bytes) -> None:
        """The driver's one call: the kernel asks thrice, with more of the caller's memory each time."""
        _, _, command, argument, size, _ = _IOCTL_IN.unpack_from(body)
        if command != IOCTL:
            self.reply(unique, error=_ENOTTY)
            return
        given = body[_IOCTL_IN.size : _IOCTL_IN.size + size]
        first = (argument, _MESSAGE.size)
        if not given:
            self.again(unique, [first], [])
            return
        asked, asked_size, place, room = _MESSAGE.unpack_from(given)
        if asked_size > MAX_REQUEST:
            self.reply(unique, error=_EMSGSIZE)
        elif len(given) == _MESSAGE.size and asked_size:
            self.again(unique, [first, (asked, asked_size)], [first, (place, min(room, MAX_REPLY))])
        else:
            try:
                answer = ask(given[_MESSAGE.size :])
            except OSError as error:
                print(f"troth-local: the host's security module: {error}", flush=True)
                self.reply(unique, error=_EIO)
                return
            if len(answer) > room:
                self.reply(unique, error=_EMSGSIZE)
                return
            told = _MESSAGE.pack(asked, asked_size, place, len(answer))
            self.reply(unique, _IOCTL_OUT.pack(0, 0, 0, 0) + told + answer)

    def again(
        self, unique: int, reads: list[tuple[int, int]], writes: list[tuple[int, int]]
    ) -> None:
        """Asks for these parts of the caller's memory."""
        head = _IOCTL_OUT.pack(0, _RETRY, len(reads), len(writes))
        self.reply(unique, head + b"".join(struct.pack("=QQ", *part) for part in reads + writes))


class Bridge:
    """A unix socket in the device's place, for a kernel without CUSE."""

    what = "socket"

    def __init__(self) -> None:
        self.listener = _socket.socket(_AF_UNIX, _STREAM)
        os.umask(0o177)
        self.listener.bind(DEVICE)
        os.umask(0o022)
        self.listener.listen(16)

    def serve(self) -> None:
        """One request for each connection, one after the other."""
        while True:
            # What `socket` itself calls for this, and `_socket` has no other; the Python is the image's.
            descriptor, _ = self.listener._accept()  # type: ignore[attr-defined]
            sock = _socket.socket(_AF_UNIX, _STREAM, 0, descriptor)
            try:
                size = int.from_bytes(exactly(sock, 4), "big")
                if size <= MAX_REQUEST:
                    answer = ask(exactly(sock, size))
                    sock.sendall(struct.pack(">I", len(answer)) + answer)
            except OSError as error:
                print(f"troth-local: the host's security module: {error}", flush=True)
            finally:
                sock.close()


def library() -> "ctypes.CDLL":
    """The C library's calls that Python lacks."""
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def load(path: str) -> None:
    """Puts a module into the kernel."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if library().syscall(_FINIT_MODULE, file, b"", 0) != 0:
        raise OSError(_EIO, "the kernel refuses the module", path)
    os.close(file)


def main() -> None:
    """Process 1, until the image's own takes its place."""
    print(f"troth-local: up after {time.monotonic():.3f} s", flush=True)
    if library().mount(b"devtmpfs", b"/dev", b"devtmpfs", 0, None) != 0:
        raise OSError(_EIO, "no devtmpfs")
    made = Cuse() if os.path.exists(f"{HERE}/cuse.ko") else Bridge()
    print(f"troth-local: {DEVICE} is a {made.what}", flush=True)
    if os.fork() == 0:
        made.serve()
    while not os.path.exists(DEVICE):
        os.sched_yield()
    for name in os.listdir(HERE):
        os.remove(f"{HERE}/{name}")
    os.rmdir(HERE)
    os.execv("/init", ["/init", *sys.argv[1:]])


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 - nothing may keep the machine from its end
        import traceback

        traceback.print_exc()  # without the colours that a terminal gets
        os._exit(1)  # the end of process 1 is a panic, which ends the machine
