"""What process 1 does on a machine of its own, first and last: mounts, modules, clock, loopback; the end.

In a simulation the runtime has done all of it, and none of this runs.
"""

import contextlib
import ctypes
import errno
import os
import time
from pathlib import Path
from typing import Final, NoReturn

from troth._version import RELEASED
from troth.errors import EXIT_BUG, Unavailable
from troth.runtime import linux

MODULES: Final = Path("/usr/lib/modules/load")
"""Names of module files, one a line, in the order in which they must be loaded. A kernel that has all of
it built in needs no such file."""
_ROOT: Final = "/root-view"
_QUIET: Final = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
_FINIT_MODULE: Final = {"x86_64": 313, "aarch64": 273}
_REBOOT: Final = {"x86_64": 169, "aarch64": 142}
_LINUX_REBOOT_MAGIC: Final = (0xFEE1DEAD, 672274793)
_RB_AUTOBOOT: Final = 0x01234567
_DAY: Final = 24 * 60 * 60


def set_up() -> None:
    """Makes the machine what a simulation finds: a read-only root, /proc, /dev, /run, /tmp, loopback.

    Raises:
        OSError: a mount or a module was refused; the enclave must not go on without it.
        Unavailable: the image's files may not all be there, or the clock is wrong.
    """
    check_unpacked(os.statvfs("/"))
    # Made by the archive that every kernel has in it; the image's own folders are not empty.
    with contextlib.suppress(OSError):
        Path("/root").rmdir()
    # The initial file system cannot be remounted read-only, but a bind of it can. It is moved over the
    # root and becomes it: a process whose root is another than its mounts' may make no user namespace.
    linux.mount("/", _ROOT, None, linux.MS_BIND)
    flags = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID
    linux.mount("none", _ROOT, None, flags)
    os.chdir(_ROOT)
    linux.mount(".", "/", None, linux.MS_MOVE)
    os.chroot(".")
    os.chdir("/")
    linux.mount("proc", "/proc", "proc", _QUIET)
    linux.mount("devtmpfs", "/dev", "devtmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=0755")
    linux.mount("tmpfs", "/run", "tmpfs", _QUIET, "mode=0755,size=64m")
    linux.mount("tmpfs", "/tmp", "tmpfs", _QUIET, "mode=1777,size=64m")  # noqa: S108
    check_clock(time.time())
    if MODULES.exists():
        for name in MODULES.read_text("ascii").split():
            _load(MODULES.parent / name)
    with contextlib.suppress(FileNotFoundError):  # whoever needs it will say so in better words
        Path("/dev/nsm").chmod(0o600)
    linux.loopback_up()


def check_unpacked(root: os.statvfs_result) -> None:
    """Refuses a machine with so little memory that the kernel may have left files of the image out.

    How much there is, is the host's choice and not measured. Where the initial file system is full, Linux
    says so on the console, leaves the rest of the archives away, and starts what is there.

    Args:
        root: of the initial file system, before anything in it was changed.

    Raises:
        Unavailable: it is full. One without a limit has no blocks, and cannot be full.
    """
    if root.f_blocks and not (root.f_bfree and root.f_ffree):
        raise Unavailable(
            "this machine has too little memory for the image's files: some may be cut off or missing",
            fix="give the enclave more memory",
        )


def check_clock(now: float) -> None:
    """Refuses a clock that shows a day before this version of troth was released.

    The host gives the time, and nothing in here can know it better. But one that is so wrong makes
    evidence that nobody takes, and is better noticed here.

    Raises:
        Unavailable: the clock is wrong.
    """
    if now < RELEASED - _DAY:
        shown = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(now))
        raise Unavailable(
            f"this machine's clock shows {shown}, before this version of troth was released",
            fix="set the host's clock; the enclave takes its time from it",
        )


def seed(random: bytes) -> None:
    """Mixes bytes into the kernel's generator, on top of what the processor gave it.

    Args:
        random: from the security module; counted as nothing, so that a bad module takes nothing away.
    """
    with Path("/dev/urandom").open("wb", buffering=0) as pool:
        pool.write(random)


def _load(path: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        number = ctypes.c_long(_FINIT_MODULE[os.uname().machine])
        if libc.syscall(number, descriptor, b"", 0) != 0:
            code = ctypes.get_errno()
            if code != errno.EEXIST:
                raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)


def end() -> NoReturn:
    """Restarts the machine, which is how an enclave ends: its host takes it away."""
    os.sync()
    libc = ctypes.CDLL(None, use_errno=True)
    magic = [ctypes.c_long(word) for word in _LINUX_REBOOT_MAGIC]
    libc.syscall(
        ctypes.c_long(_REBOOT[os.uname().machine]), *magic, ctypes.c_long(_RB_AUTOBOOT), None
    )
    os._exit(EXIT_BUG)  # the end of process 1 is a panic, which ends the machine as well
