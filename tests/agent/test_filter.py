"""The filter of system calls, run on paper and in the kernel."""

import errno
import os
import socket
import struct
import subprocess
import sys

import pytest

from troth.agent import filter as system_calls

ALLOW, ABSENT, NO_FAMILY = 0x7FFF0000, 0x50000 | errno.ENOSYS, 0x50000 | errno.EAFNOSUPPORT
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
X32 = 0x40000000


def verdict(program: bytes, architecture: int, number: int, first: int = 0) -> int:
    """What the kernel's interpreter makes of one call (classic BPF, the four instructions we use)."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, first, 0, 0, 0, 0, 0)
    at = accumulator = 0
    while True:
        code, yes, no, value = struct.unpack_from("=HBBI", program, 8 * at)
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x06:
                return value


@pytest.mark.parametrize(
    ("name", "memfd", "sock", "write"), [("x86_64", 319, 41, 1), ("aarch64", 279, 198, 64)]
)
def test_what_is_refused_and_what_is_not(name, memfd, sock, write) -> None:
    program, architecture = system_calls.program(name), ARCHITECTURES[name]
    for number in (memfd, 447, 425):
        assert verdict(program, architecture, number) == ABSENT
    assert verdict(program, architecture, sock, socket.AF_VSOCK) == NO_FAMILY
    # The kernel takes the lower 32 bits for the family: so must the filter.
    assert verdict(program, architecture, sock, 1 << 32 | socket.AF_VSOCK) == NO_FAMILY
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        assert verdict(program, architecture, sock, family) == ALLOW
    assert verdict(program, architecture, write) == ALLOW
    for number in (memfd, sock, write):
        assert verdict(program, I386, number) == ABSENT
        assert verdict(program, architecture, number | X32) == ABSENT


def test_an_unknown_machine_starts_nothing() -> None:
    with pytest.raises(OSError, match="no system call filter"):
        system_calls.program("riscv64")


@pytest.mark.skipif(os.uname().machine not in ARCHITECTURES, reason="no filter for this machine")
def test_the_kernel_takes_it_and_children_inherit_it() -> None:
    inner = (
        "import os, socket\n"
        "for step in (lambda: os.memfd_create('x'), lambda: os.memfd_create('x', 8),\n"
        "             lambda: socket.socket(socket.AF_VSOCK), socket.socket):\n"
        "    try: step(); print('done')\n"
        "    except OSError as error: print(error.errno)\n"
    )
    code = (
        "import subprocess, sys\n"
        "from troth.agent import filter\n"
        "from troth.runtime import linux\n"
        "linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)\n"
        "filter.install()\n"
        "sys.exit(subprocess.run([sys.executable, '-c', sys.argv[1]]).returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, inner], capture_output=True, text=True, check=True
    )
    wanted = [errno.ENOSYS, errno.ENOSYS, errno.EAFNOSUPPORT, "done"]
    assert done.stdout.split() == [str(word) for word in wanted]
