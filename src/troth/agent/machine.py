"""What process 1 does first on a machine of its own: mounts, modules, loopback.

In a simulation the runtime has done all of it, and none of this runs. It has not yet been run under a
real kernel; see the roadmap.
"""

import ctypes
import os
from pathlib import Path
from typing import Final

from troth.runtime import linux

MODULES: Final = Path("/usr/lib/modules/load")
"""Names of module files, one a line, in the order in which they must be loaded."""
_ROOT: Final = "/root-view"
_QUIET: Final = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
_SYS_FINIT_MODULE: Final = 313  # x86-64


def set_up() -> None:
    """Makes the machine what a simulation finds: a read-only root, /proc, /dev, /run, /tmp, loopback.

    Raises:
        OSError: a mount or a module was refused; the enclave must not go on without it.
    """
    # The initial file system cannot be remounted read-only, but a bind of it can, and becomes the root.
    linux.mount("/", _ROOT, None, linux.MS_BIND)
    flags = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID
    linux.mount("none", _ROOT, None, flags)
    os.chroot(_ROOT)
    os.chdir("/")
    linux.mount("proc", "/proc", "proc", _QUIET)
    linux.mount("devtmpfs", "/dev", "devtmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=0755")
    linux.mount("tmpfs", "/run", "tmpfs", _QUIET, "mode=0755,size=16m")
    linux.mount("tmpfs", "/tmp", "tmpfs", _QUIET, "mode=1777,size=64m")  # noqa: S108
    if MODULES.exists():
        for name in MODULES.read_text("ascii").split():
            _load(MODULES.parent / name)
    Path("/dev/nsm").chmod(0o600)
    linux.loopback_up()


def _load(path: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.syscall(_SYS_FINIT_MODULE, descriptor, b"", 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)
