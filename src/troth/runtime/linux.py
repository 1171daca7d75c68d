"""The few Linux calls that Python's standard library does not have everywhere we run.

Used by the simulator on the host and by the agent inside. Each call raises `OSError` with the kernel's
errno, and the call's name where a file name would stand.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from typing import Final

# unshare(2) and clone(2)
CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWCGROUP: Final = 0x0200_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000

# mount(2)
MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x4_0000
MNT_DETACH: Final = 0x2

# prctl(2)
PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_SECCOMP: Final = 22
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_SECUREBITS: Final = 28
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
_SO_VM_SOCKETS_CONNECT_TIMEOUT: Final = 6
_CAPABILITY_VERSION_3: Final = 0x2008_0522

_KEYCTL: Final = {"x86_64": 250, "aarch64": 219}
_JOIN_SESSION_KEYRING: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), call)
    return result


def unshare(flags: int) -> None:
    """Leaves the named namespaces for new ones (see unshare in section 2 of the manual)."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(
    source: str, target: str, kind: str | None = None, flags: int = 0, options: str = ""
) -> None:
    """Mounts a file system, or changes a mount."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(result, f"mount {target}")


def bind(source: str, target: str, flags: int = 0) -> None:
    """Binds a file or folder at `target`, then lays `flags` (`MS_RDONLY` and so on) on that mount."""
    mount(source, target, None, MS_BIND)
    if flags:
        mount("none", target, None, MS_REMOUNT | MS_BIND | flags)


def change_root(folder: str) -> None:
    """Makes a mounted folder the root and lets go of everything that was mounted before.

    The old root is stacked over the new one and detached, so no path leads back to it.
    """
    os.chdir(folder)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", ctypes.c_int(MNT_DETACH)), "umount2")
    os.chdir("/")


def prctl(option: int, *arguments: int) -> int:
    """One operation on this process; arguments that are not given are zero."""
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    return _check(_libc.prctl(ctypes.c_int(option), *words), f"prctl {option}")


def drop_capabilities() -> None:
    """Empties the bounding, ambient, inheritable, permitted and effective sets of this process."""
    # The bounding set first: that needs CAP_SETPCAP. The last capability is where the kernel says so.
    number = 0
    while _libc.prctl(PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0) >= 0:
        prctl(PR_CAPBSET_DROP, number)
        number += 1
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(head, struct.pack("=6I", *[0] * 6)), "capset")


def leave_session_keyring() -> None:
    """Joins a new, empty session keyring: no namespace hides the caller's, and children inherit it.

    A kernel without keys has none to hide; and where a container's own filter refuses the call, it
    refuses those by which keys are read, too.
    """
    number = _KEYCTL.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), "keyctl")
    try:
        join = ctypes.c_long(_JOIN_SESSION_KEYRING)
        _check(_libc.syscall(ctypes.c_long(number), join, None), "keyctl")
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise


def map_user(*, inside: int, user: int, group: int) -> None:
    """Maps this process's user and group to one number in the user namespace it has just made.

    Args:
        inside: both numbers as they read inside.
        user: effective user id before the namespace was made.
        group: effective group id before the namespace was made.
    """
    # setgroups must be denied before an unprivileged process may map a group (user_namespaces(7)).
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{inside} {user} 1")
    _write("/proc/self/gid_map", f"{inside} {group} 1")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def loopback_up() -> None:
    """Brings up `lo`, which is all the network that there is in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = fcntl.ioctl(probe, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        name, flags = struct.unpack("16sH14x", request)
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14x", name, flags | _IFF_UP))


def vsock_patience(sock: socket.socket, seconds: int) -> None:
    """How long a vsock connection may take to come about; the kernel's own patience is two seconds."""
    _time_option(sock, socket.AF_VSOCK, _SO_VM_SOCKETS_CONNECT_TIMEOUT, seconds)


def send_patience(sock: socket.socket, seconds: int) -> None:
    """How long one send may wait for a peer that does not read, on a socket that is waited for."""
    _time_option(sock, socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)


def _time_option(sock: socket.socket, level: int, name: int, seconds: int) -> None:
    # Python's own call takes numbers only for sockets of vsock, and this is a `struct timeval`.
    option = struct.pack("@ll", seconds, 0)
    numbers = (ctypes.c_int(number) for number in (sock.fileno(), level, name))
    _check(_libc.setsockopt(*numbers, option, ctypes.c_uint(len(option))), "setsockopt")


def close_from(first: int, *, keep: tuple[int, ...] = ()) -> None:
    """Closes every descriptor from `first` on, but those to keep."""
    start = first
    for descriptor in sorted(keep):
        os.closerange(start, descriptor)
        start = max(start, descriptor + 1)
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def sysctl(path: str, value: int) -> None:
    """Writes a setting below `/proc/sys`."""
    _write(f"/proc/sys/{path}", str(value))
