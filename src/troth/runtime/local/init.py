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

    from troth.runtime.local.cuse import Cuse

HERE = "/troth-local"
HEAD = b"#!/usr/bin/python3.13 -IS\n"
DEVICE = "/dev/nsm"
PORT = 9002
HOST = 3
MAX_REQUEST = 0x1000
MAX_REPLY = 0x3000
_AF_UNIX, _AF_VSOCK, _STREAM = 1, 40, 1
_CONNECT_TIMEOUT = 6
_EIO, _EMSGSIZE = 5, 90


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


class Bridge:
    """A unix socket in the device's place, for a kernel without CUSE."""

    what = "socket"

    def __init__(self) -> None:
        self.listener = _socket.socket(_AF_UNIX, _STREAM)
        os.umask(0o177)
        self.listener.bind(DEVICE)
        os.umask(0o022)
        self.listener.listen(16)

    def close(self) -> None:
        """In this process."""
        self.listener.close()

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


def cuse() -> "Cuse":
    """The device of the file beside this one."""
    made: dict[str, type[Cuse]] = {}
    with open(f"{HERE}/cuse.py", "rb") as file:
        exec(compile(file.read(), file.name, "exec"), made)
    return made["Cuse"](ask)


def main() -> None:
    """Process 1, until the image's own takes its place."""
    print(f"troth-local: up after {time.monotonic():.3f} s", flush=True)
    if library().mount(b"devtmpfs", b"/dev", b"devtmpfs", 0, None) != 0:
        raise OSError(_EIO, "no devtmpfs")
    made = cuse() if os.path.exists(f"{HERE}/cuse.ko") else Bridge()
    print(f"troth-local: {DEVICE} is a {made.what}", flush=True)
    if os.fork() == 0:
        made.serve()
    made.close()  # here: it is the other process's
    while not os.path.exists(DEVICE):
        os.sched_yield()
    for name in os.listdir(HERE):
        os.remove(f"{HERE}/{name}")
    os.rmdir(HERE)
    sys.argv[0] = "/init"
    with open("/init", "rb") as file:
        begin = file.read(len(HEAD))
        if begin == HEAD:
            # It would start this very interpreter, with these flags; a tenth of a second is saved.
            exec(compile(begin + file.read(), "/init", "exec"), {"__name__": "__main__"})
    os.execv("/init", sys.argv)


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 - nothing may keep the machine from its end
        import traceback

        traceback.print_exc()  # without the colours that a terminal gets
        os._exit(1)  # the end of process 1 is a panic, which ends the machine
