"""The system calls that the app does not get, whatever it runs as: a seccomp filter.

File systems that an app can write to are mounted so that nothing on them executes. A file in memory
(`memfd_create`) lies on no such mount: the loader would map it as code. The kernel's own switch for that
(`vm.memfd_noexec`) is not every user's to set, and a file that is sealed against execution is still mapped
as code by a loader that is told its name in `/proc/self/fd`. So there are no such files: programs that
share memory have `/dev/shm`.

Nor does the app get a vsock of its own: what leaves the enclave goes through the agent. The ring of
`io_uring` makes sockets without a system call, and is left out for that. Keys in the kernel are inherited
from process to process past every namespace, and a request for one starts a program of the host's.
"""

import ctypes
import errno
import os
import struct
from dataclasses import dataclass
from typing import Final

from troth.runtime import linux

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_ALLOW: Final = 0x7FFF_0000
_ERRNO: Final = 0x0005_0000
# Offsets in struct seccomp_data.
_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_FIRST_ARGUMENT: Final = 16
_X32: Final = 0x4000_0000
_AF_VSOCK: Final = 40
_SECCOMP_MODE_FILTER: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """Numbers of one architecture."""

    architecture: int
    absent: tuple[int, ...]
    socket: int


_MACHINES: Final = {
    # memfd_create, memfd_secret, io_uring_setup, add_key, request_key, keyctl
    "x86_64": _Machine(architecture=0xC000_003E, absent=(319, 447, 425, 248, 249, 250), socket=41),
    "aarch64": _Machine(
        architecture=0xC000_00B7, absent=(279, 447, 425, 217, 218, 219), socket=198
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def program(name: str) -> bytes:
    """The filter in the kernel's form, 8 bytes an instruction.

    Args:
        name: the machine's, as `uname` has it.

    Raises:
        OSError: no numbers are known for it.
    """
    if name not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no system call filter for {name}")
    machine = _MACHINES[name]
    absent = _step(_RETURN, _ERRNO | errno.ENOSYS)
    steps = [
        # A call under another architecture's numbers would pass a filter for this one's.
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, machine.architecture, yes=1, no=0),
        absent,
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, yes=0, no=1),
        absent,
    ]
    for number in machine.absent:
        steps += [_step(_EQUAL, number, yes=0, no=1), absent]
    steps += [
        _step(_EQUAL, machine.socket, yes=0, no=3),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_EQUAL, _AF_VSOCK, yes=0, no=1),
        _step(_RETURN, _ERRNO | errno.EAFNOSUPPORT),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def install() -> None:
    """Lays the filter on this process and all that it starts, for good.

    Raises:
        OSError: the kernel refuses; the app must not start then. `no_new_privs` has to be set.
    """
    instructions = program(os.uname().machine)
    head = _Program(len(instructions) // 8, instructions)
    linux.prctl(linux.PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(head))
