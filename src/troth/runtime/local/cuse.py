"""A character device `/dev/nsm` whose driver is this process: see `init.py`, which runs it in the guest."""

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HERE = "/troth-local"
MAX_REQUEST = 0x1000
MAX_REPLY = 0x3000
IOCTL = 0xC0200A00
_FINIT_MODULE = 313
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


class Cuse:
    """A character device whose driver is this process."""

    what = "device"

    def __init__(self, ask: "Callable[[bytes], bytes]") -> None:
        self.ask = ask
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

    def close(self) -> None:
        """In this process."""
        os.close(self.file)

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
                answer = self.ask(given[_MESSAGE.size :])
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


def load(path: str) -> None:
    """Puts a module into the kernel."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).syscall(_FINIT_MODULE, file, b"", 0) != 0:
        raise OSError(_EIO, "the kernel refuses the module", path)
    os.close(file)
