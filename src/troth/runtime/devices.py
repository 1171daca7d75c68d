"""A `/dev` with what programs expect and nothing else, for the simulator's image and for its app."""

import os
from pathlib import Path
from typing import Final

from troth.runtime import linux

_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_QUIET: Final = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


def build_devices(folder: str, *, nsm: str | None) -> None:
    """A `/dev` with what programs expect and nothing else: six devices, four links, shared memory.

    Args:
        folder: where it is mounted.
        nsm: what stands for the security module, or None to leave it out.
    """
    sources = {name: f"/dev/{name}" for name in _DEVICES}
    if nsm is not None:
        sources["nsm"] = nsm
    # A machine without a controlling terminal may lack /dev/tty; the others are always there.
    if not Path(sources["tty"]).exists():
        del sources["tty"]
    # Opened before the mount, which may hide them.
    opened = {name: os.open(source, os.O_PATH) for name, source in sources.items()}
    linux.mount("tmpfs", folder, "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=0755,size=64k")
    for name, descriptor in opened.items():
        Path(folder, name).touch()
        linux.bind(f"/proc/self/fd/{descriptor}", f"{folder}/{name}")
        os.close(descriptor)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        Path(folder, name).symlink_to(f"/proc/self/fd/{number}")
    Path(folder, "fd").symlink_to("/proc/self/fd")
    Path(folder, "shm").mkdir()
    linux.mount(
        "none",
        folder,
        None,
        linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NOEXEC,
    )
    linux.mount("tmpfs", f"{folder}/shm", "tmpfs", _QUIET, "mode=1777,size=16m")
