"""A file system that a test plays itself: real system calls, answered by Python over `/dev/fuse`.

It is mounted in a user and mount namespace of its own, whose only process hands the connection over, so
nothing of the machine changes and all ends with the test. Source: linux/fuse.h, version 7.31.
"""

import errno
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

_MOUNT = """
import ctypes, os, socket, sys
fd = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"fuse", os.fsencode(sys.argv[2]), b"fuse", 6, options):
    sys.exit(os.strerror(ctypes.get_errno()))
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b"."], [fd])
os.close(fd)
sys.stdin.read()
"""
_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_ATTR = struct.Struct("<6Q10I")
_INIT = struct.Struct("<4I2H2I2HI28x")
_IOCTL = struct.Struct("<QIIQII")
_BUFFER = 1 << 18
_LOOKUP, _FORGET, _GETATTR, _MKDIR, _RMDIR = 1, 2, 3, 9, 11
_OPEN, _READ, _WRITE, _RELEASE, _FLUSH, _INIT_CALL = 14, 15, 16, 18, 25, 26
_INTERRUPT, _IOCTL_CALL, _BATCH_FORGET = 36, 39, 42
_DIRECT_IO = 1


class Handle(Protocol):
    """An open file. Each may raise OSError, which the caller's system call then does."""

    def read(self) -> bytes: ...

    def write(self, data: bytes, offset: int) -> int: ...

    def close(self) -> None: ...

    def ioctl(self, number: int, message: bytes) -> tuple[int, bytes]:
        """Minus errno, or the result; and what the message is afterwards."""


class Tree(Protocol):
    """A file system, by paths such as `/report/name`; the root is empty."""

    def mode(self, path: str) -> int: ...

    def make(self, path: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def open(self, path: str, flags: int) -> Handle: ...


@dataclass
class Device:
    """A tree with one file, which is asked by ioctl and nothing else: tree and handle in one."""

    path: str
    answer: Callable[[int, bytes], tuple[int, bytes]]

    def mode(self, path: str) -> int:
        if path not in ("", self.path):
            raise FileNotFoundError(errno.ENOENT, "absent")
        return stat.S_IFREG | 0o600 if path else stat.S_IFDIR | 0o755

    def make(self, _: str) -> None:
        raise OSError(errno.EPERM, "no folders")

    remove = make

    def open(self, _path: str, _flags: int) -> "Device":
        return self

    def read(self) -> bytes:
        raise OSError(errno.EINVAL, "not so")

    def write(self, _data: bytes, _offset: int) -> int:
        raise OSError(errno.EINVAL, "not so")

    def close(self) -> None:
        """Nothing is held."""

    def ioctl(self, number: int, message: bytes) -> tuple[int, bytes]:
        return self.answer(number, message)


class Server:
    """Answers the kernel's requests until the file system is gone."""

    def __init__(self, fd: int, tree: Tree) -> None:
        self.fd, self.tree = fd, tree
        self.paths = {1: ""}
        self.handles: dict[int, Handle] = {}
        self.count = 1
        self.trouble: list[Exception] = []

    def run(self) -> None:
        while True:
            try:
                request = os.read(self.fd, _BUFFER)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno == errno.ENOENT:  # interrupted before it was read
                    continue
                raise
            _, call, unique, node, *_ = _IN.unpack_from(request)
            if call in (_FORGET, _BATCH_FORGET, _INTERRUPT):
                continue
            try:
                code, answer = 0, self.answer(call, node, request[_IN.size :])
            except OSError as error:
                code, answer = -(error.errno or errno.EIO), b""
            except Exception as error:  # noqa: BLE001 - whoever asked must not wait for ever
                self.trouble.append(error)
                code, answer = -errno.EIO, b""
            try:
                os.write(self.fd, _OUT.pack(_OUT.size + len(answer), code, unique) + answer)
            except FileNotFoundError:  # whoever asked is gone
                continue

    def answer(self, call: int, node: int, body: bytes) -> bytes:
        match call:
            case 26:
                return _INIT.pack(7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0)
            case 1:
                return self.entry(f"{self.paths[node]}/{_name(body)}")
            case 3:
                return struct.pack("<QII", 0, 0, 0) + self.attributes(node)
            case 9:
                path = f"{self.paths[node]}/{_name(body[8:])}"
                self.tree.make(path)
                return self.entry(path)
            case 11:
                self.tree.remove(f"{self.paths[node]}/{_name(body)}")
                return b""
            case 14:
                self.count += 1
                flags = int.from_bytes(body[:4], "little")
                self.handles[self.count] = self.tree.open(self.paths[node], flags)
                return struct.pack("<QII", self.count, _DIRECT_IO, 0)
        return self.with_handle(call, int.from_bytes(body[:8], "little"), body)

    def with_handle(self, call: int, number: int, body: bytes) -> bytes:
        if call not in (_READ, _WRITE, _FLUSH, _RELEASE, _IOCTL_CALL):
            raise OSError(errno.ENOSYS, "not played")
        handle = self.handles[number]
        match call:
            case 15:
                offset, size = struct.unpack_from("<QI", body, 8)
                return handle.read()[offset : offset + size]
            case 16:
                offset, size = struct.unpack_from("<QI", body, 8)
                return struct.pack("<II", handle.write(body[40 : 40 + size], offset), 0)
            case 25:  # comes with close() and is waited for, which the release is not
                handle.close()
                return b""
            case 18:
                del self.handles[number]
                return b""
        _, _, what, _, size, room = _IOCTL.unpack_from(body)
        result, message = handle.ioctl(what, body[_IOCTL.size : _IOCTL.size + size])
        assert len(message) == room
        return struct.pack("<iIII", result, 0, 0, 0) + message

    def entry(self, path: str) -> bytes:
        self.tree.mode(path)
        node = next((number for number, known in self.paths.items() if known == path), 0)
        if not node:
            self.count += 1
            node = self.count
            self.paths[node] = path
        return struct.pack("<4QII", node, 0, 0, 0, 0, 0) + self.attributes(node)

    def attributes(self, node: int) -> bytes:
        mode = self.tree.mode(self.paths[node])
        links = 2 if stat.S_ISDIR(mode) else 1
        return _ATTR.pack(node, 0, 0, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)


def _name(body: bytes) -> str:
    return body.rstrip(b"\0").decode()


def _served(fd: int, tree: Tree) -> Callable[[], object]:
    server = Server(fd, tree)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()

    def end() -> None:
        thread.join(10)
        assert not thread.is_alive()
        assert not server.trouble, server.trouble

    return end


def apart(maker: str) -> Callable[[int, Tree], Callable[[], object]]:
    """Serves from another process, for system calls during which Python's lock is held.

    Args:
        maker: `module:function`, which makes the tree there.
    """
    module, _, function = maker.partition(":")
    code = (
        f"import sys; from tests.platforms.fuse import Server; from {module} import {function}; "
        f"Server(int(sys.argv[1]), {function}()).run()"
    )
    search = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])

    def serve(fd: int, _: Tree) -> Callable[[], object]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(fd)],
            pass_fds=[fd],
            env=dict(os.environ, PYTHONPATH=search),
        )
        return lambda: process.wait(10)

    return serve


@contextmanager
def mounted(
    tree: Tree, folder: Path, serve: Callable[[int, Tree], Callable[[], object]] = _served
) -> Iterator[Path]:
    """Where the tree can be reached, by this process's system calls, while the context lasts."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = ("unshare", "--user", "--map-root-user", "--mount", sys.executable, "-I", "-c")
        child = subprocess.Popen(
            [*argv, _MOUNT, str(theirs.fileno()), str(folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        said = child.communicate()[1].decode(errors="replace").strip()
        if "namespaces" in os.environ.get("TROTH_REQUIRE", ""):
            pytest.fail(f"TROTH_REQUIRE names namespaces, and none can mount: {said}")
        pytest.skip(f"namespaces: a file system cannot be mounted in one: {said}")
    end = serve(descriptors[0], tree)
    try:
        yield Path(f"/proc/{child.pid}/root{folder}")
    finally:
        child.communicate()  # its input ends, so does it, and the mount with it
        end()
        os.close(descriptors[0])
