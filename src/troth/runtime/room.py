"""Whether the memory that an image gets is enough to unpack its files: asked before it is booted."""

from pathlib import Path
from stat import S_IFREG
from typing import Final

from troth.errors import Misuse, Unavailable
from troth.runtime.grounds import Job

_KERNEL_MEMORY: Final = 52
"""MiB that a kernel keeps for itself: Debian's 46 to 48, measured with emulated processors."""
_TOTAL, _LEFT = 50, 49
"""Of so many parts of all memory so many are left by the kernel's own tables of its pages, and such."""
_MIB: Final = 1 << 20
_PAGE: Final = 4096


def memory_to_boot(job: Job, more: int, *, packed: int | None = None) -> int:
    """MiB without which an image's kernel panics while it unpacks the files; arguments as below."""
    if packed is None:
        packed = sum(section.size for section in job.loaded.image.ramdisks) + more
    # The archives stay until all is unpacked, and files get half of what they and the kernel leave.
    needed = packed + 2 * (_unpacked(job) + more) + _KERNEL_MEMORY * _MIB
    return -(-needed * _TOTAL // (_LEFT * _MIB))


def _unpacked(job: Job) -> int:
    """Bytes of the image's files in memory, which is given to them by the page."""
    files = (len(entry.data) for entry in job.loaded.entries if entry.kind == S_IFREG)
    return sum(-(-size // _PAGE) * _PAGE for size in files)


def check_memory(
    job: Job, more: int, *, packed: int | None = None, given: int | None = None
) -> None:
    """Refuses an image that could not be unpacked in the memory it gets: files would be missing, or it panics.

    Args:
        job: the run's.
        more: bytes of what is unpacked beside the image.
        packed: bytes of the archives as they are booted; None where that is as they are in the image.
        given: MiB that it gets; None where that is what it asks for.

    Raises:
        Misuse: its recipe gives it too little.
    """
    needed = memory_to_boot(job, more, packed=packed)
    who = "its recipe gives it" if given is None else "this host would give it"
    given = job.loaded.memory if given is None else given
    if needed > given:
        raise Misuse(
            f"{job.loaded.name} has {_unpacked(job) // _MIB} MiB of files, which are unpacked into its "
            f"memory: it takes {needed} MiB to boot, and {who} {given}",
            fix=f"set memory = {needed} or more in its troth.toml, and build it again",
        )


def check_free(job: Job) -> None:
    """Raises `Unavailable` where this machine has less memory than the image asks for."""
    given = job.loaded.memory
    free = _available()
    if free is not None and free < given:
        raise Unavailable(
            f"{job.loaded.name} asks for {given} MiB of memory, and this machine has {free} free",
            fix="end other programs, or set a smaller memory in its troth.toml",
        )


def _available() -> int | None:
    """MiB that programs of this machine could have, or None if it does not say."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
