"""Asks the Nitro Security Module, from inside an enclave: `/dev/nsm`, or the simulator's socket.

Does not verify what the module signs: that is for whoever asked.
"""

import ctypes
import fcntl
import os
import socket
import stat
import struct
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypedDict

from troth.errors import Malformed, Misuse, Unavailable
from troth.wire import cbor

DEVICE: Final = "/dev/nsm"
# _IOWR(0x0A, 0, 32 bytes): two buffers of address and length, the request's and the reply's.
IOCTL: Final = 0xC0200A00
MAX_REQUEST: Final = 0x1000
MAX_REPLY: Final = 0x3000
_FIELD: Final = "NSM reply"
_FRAME: Final = struct.Struct(">I")
_TIMEOUT: Final = 120.0  # seconds; what the kernel's driver waits
_CODES: Final = frozenset(
    {
        "InvalidArgument",
        "InvalidIndex",
        "InvalidResponse",
        "ReadOnlyIndex",
        "InvalidOperation",
        "BufferTooSmall",
        "InputTooLarge",
        "InternalError",
    }
)


class Description(TypedDict):
    """What `DescribeNSM` answers."""

    version_major: int
    version_minor: int
    version_patch: int
    module_id: str
    max_pcrs: int
    locked_pcrs: list[int]
    digest: str


_DESCRIPTION: Final[dict[str, type]] = {
    "version_major": int,
    "version_minor": int,
    "version_patch": int,
    "module_id": str,
    "max_pcrs": int,
    "locked_pcrs": list,
    "digest": str,
}


class _Transport(Protocol):
    def exchange(self, request: bytes) -> bytes: ...

    def close(self) -> None: ...


class Nsm:
    """An open security module; several threads may ask it."""

    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets the device go."""
        self._transport.close()

    def request(self, request: bytes) -> bytes:
        """One encoded request to its encoded reply, whatever the reply says.

        Raises:
            Misuse: the request is longer than the module takes.
            Unavailable: the module did not answer.
            Malformed: the reply is longer than a reply can be.
        """
        if len(request) > MAX_REQUEST:
            raise Misuse(f"a request of {len(request)} bytes; the NSM takes {MAX_REQUEST}")
        return self._transport.exchange(request)

    def attest(
        self,
        *,
        user_data: bytes | None = None,
        nonce: bytes | None = None,
        public_key: bytes | None = None,
    ) -> bytes:
        """A document over these fields, at most 1024 bytes each.

        Raises:
            Unavailable, Malformed, Misuse: as `request`, or the module refused.
        """
        fields = {"user_data": user_data, "nonce": nonce, "public_key": public_key}
        return _bytes(self._call("Attestation", fields), "document", sizes=range(1, MAX_REPLY))

    def random(self) -> bytes:
        """Up to 256 bytes from the module's generator."""
        return _bytes(self._call("GetRandom", None), "random", sizes=range(1, 257))

    def describe(self) -> Description:
        """The module's name, version and locked registers."""
        answer = self._call("DescribeNSM", None)
        # Newer modules may say more than this; what is known must have its type.
        for name, kind in _DESCRIPTION.items():
            if not isinstance(answer.get(name), kind):
                raise Malformed(f"has no {name} of the right type", field=_FIELD)
        if not all(isinstance(index, int) for index in answer["locked_pcrs"]):
            raise Malformed("locked_pcrs is not a list of integers", field=_FIELD)
        return Description(
            version_major=answer["version_major"],
            version_minor=answer["version_minor"],
            version_patch=answer["version_patch"],
            module_id=answer["module_id"],
            max_pcrs=answer["max_pcrs"],
            locked_pcrs=answer["locked_pcrs"],
            digest=answer["digest"],
        )

    def register(self, index: int) -> tuple[bytes, bool]:
        """The value of a register and whether it is locked."""
        answer = self._call("DescribePCR", {"index": index})
        locked = answer.get("lock")
        if not isinstance(locked, bool):
            raise Malformed("has no boolean «lock»", field=_FIELD)
        return _bytes(answer, "data", sizes=range(48, 49)), locked

    def extend(self, index: int, data: bytes) -> bytes:
        """Extends a register (16 to 31) and gives its new value."""
        answer = self._call("ExtendPCR", {"index": index, "data": data})
        return _bytes(answer, "data", sizes=range(48, 49))

    def lock(self, index: int) -> None:
        """Locks a register until the enclave ends, so that documents carry it."""
        self._call("LockPCR", {"index": index})

    def lock_up_to(self, count: int) -> None:
        """Locks registers 0 to `count` - 1."""
        self._call("LockPCRs", {"range": count})

    def _call(self, name: str, arguments: dict[str, Any] | None) -> dict[str, Any]:
        message = name if arguments is None else {name: arguments}
        reply = cbor.decode(
            self.request(cbor.encode_in_order(message)), field=_FIELD, allow_indefinite_map=True
        )
        match reply:
            case str() if reply == name:
                return {}
            case {"Error": str(code), **rest} if not rest:
                known = code if code in _CODES else "an unknown error"
                raise Unavailable(f"the NSM refused {name}: {known}")
            case dict() if set(reply) == {name} and isinstance(reply[name], dict):
                return dict(reply[name])
            case _:
                raise Malformed(f"is no answer to {name}", field=_FIELD, offset=0)


def open_nsm(path: str = DEVICE) -> Nsm:
    """Opens the module: a character device is the hardware's, a unix socket the simulator's.

    Raises:
        Unavailable: there is nothing of either kind, or it may not be opened.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - one file, and pathlib is a slow import for an init
        if stat.S_ISCHR(mode):
            return Nsm(_Device(path))
        if stat.S_ISSOCK(mode):
            return Nsm(_Socket(path))
    except OSError as error:
        raise Unavailable(
            f"cannot open {path}: {error.strerror}",
            fix="run this inside an enclave, as the user who owns the device",
        ) from error
    raise Unavailable(f"{path} is neither a device nor a socket", fix="run this inside an enclave")


def _bytes(answer: dict[str, Any], name: str, *, sizes: range) -> bytes:
    value = answer.get(name)
    if not isinstance(value, bytes) or len(value) not in sizes:
        raise Malformed(f"«{name}» is not {sizes.start} to {sizes.stop - 1} bytes", field=_FIELD)
    return value


class _Message(ctypes.Structure):
    _fields_ = (
        ("request", ctypes.c_uint64),
        ("request_length", ctypes.c_uint64),
        ("reply", ctypes.c_uint64),
        ("reply_length", ctypes.c_uint64),
    )


class _Device:
    """The kernel's driver."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def exchange(self, request: bytes) -> bytes:
        sent = ctypes.create_string_buffer(request, max(len(request), 1))
        got = ctypes.create_string_buffer(MAX_REPLY)
        message = _Message(ctypes.addressof(sent), len(request), ctypes.addressof(got), MAX_REPLY)
        try:
            fcntl.ioctl(self._fd, IOCTL, message)
        except OSError as error:
            raise Unavailable(f"the NSM did not answer: {error.strerror}") from error
        if message.reply_length > MAX_REPLY:
            raise Malformed(f"claims {message.reply_length} bytes", field=_FIELD)
        return got.raw[: message.reply_length]

    def close(self) -> None:
        os.close(self._fd)


class _Socket:
    """The simulator: `u32be length ‖ CBOR` each way, over a connection for each request.

    One connection each, so that a reply which comes too late can never be taken for the next one's.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def exchange(self, request: bytes) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_TIMEOUT)
                connection.connect(self._path)
                connection.sendall(_FRAME.pack(len(request)) + request)
                (size,) = _FRAME.unpack(_exactly(connection, _FRAME.size))
                if size > MAX_REPLY:
                    raise Malformed(f"claims {size} bytes", field=_FIELD, offset=0)
                return _exactly(connection, size)
        except OSError as error:
            raise Unavailable(f"the simulated NSM did not answer: {error}") from error

    def close(self) -> None:
        """Nothing is held between requests."""


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(size)
        if not part:
            raise Unavailable("the simulated NSM closed the connection")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
