"""What an EC2 host has set aside for enclaves, read before one is started: its driver, memory and CPUs.

`nitro-cli` would refuse, too, but some of its refusals come late and say little. A file that is not there
or reads otherwise than expected says nothing here; then the program has the word.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.errors import Unavailable
from troth.runtime.nitro_cli import ALLOCATOR

DEVICE: Final = "dev/nitro_enclaves"
_POOL: Final = "sys/module/nitro_enclaves/parameters/ne_cpus"
_PAGES: Final = "sys/kernel/mm/hugepages"
_SIBLINGS: Final = "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"
_MIB: Final = 1 << 20
_SMALLEST: Final = 64
"""MiB; the driver takes no less."""
_PAGE: Final = 2
"""MiB of the smallest huge page; the memory of an enclave is a multiple of it."""
TIMES: Final = 4
"""`nitro-cli` refuses memory below so many times the image's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What an enclave is given.

    Attributes:
        memory: MiB.
        cpus: how many.
    """

    memory: int
    cpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """This machine.

    Attributes:
        root: where its files are.
    """

    root: Path = Path("/")

    def check(self) -> None:
        """Raises `Unavailable` where this machine can hold no enclave."""
        device = self.root / DEVICE
        if not device.exists():
            raise Unavailable(
                f"this machine has no /{DEVICE}: it is no EC2 instance with enclaves enabled, or "
                "lacks the driver",
                fix="on an EC2 instance: start it with --enclave-options Enabled=true; then: "
                "sudo modprobe nitro_enclaves",
            )

    def share(self, *, size: int, memory: int, cpus: int) -> Share:
        """What an image is given here: what it declares, and no less than the program demands.

        Args:
            size: bytes of the image file.
            memory: MiB that its recipe names.
            cpus: how many its recipe names.
        """
        least = max(memory, -(-size * TIMES // _MIB), _SMALLEST)
        threads = self.threads()
        return Share(
            memory=-(-least // _PAGE) * _PAGE,
            # Cores are given away whole.
            cpus=-(-max(cpus, 1) // threads) * threads,
        )

    def check_room(self, share: Share) -> None:
        """Raises `Unavailable` where less is free than an enclave is to have."""
        free = self.free_memory()
        if free is not None and free < share.memory:
            raise Unavailable(
                f"the enclave needs {share.memory} MiB, and {free} MiB are set aside for enclaves "
                "and free",
                fix=ALLOCATOR.format(what=f"memory_mib: {share.memory} or more"),
            )
        pool = self.pool()
        if pool is not None and pool < share.cpus:
            raise Unavailable(
                f"the enclave needs {share.cpus} CPUs, and {pool} are set aside for enclaves",
                fix=ALLOCATOR.format(what=f"cpu_count: {share.cpus} or more"),
            )

    def free_memory(self) -> int | None:
        """MiB of huge pages that nobody uses; None where this kernel does not tell."""
        kib = None
        for folder in (self.root / _PAGES).glob("hugepages-*kB"):
            size = folder.name.removeprefix("hugepages-").removesuffix("kB")
            free = self._read(folder / "free_hugepages")
            if size.isdigit() and free.isdigit():
                kib = (kib or 0) + int(size) * int(free)
        return None if kib is None else kib >> 10

    def pool(self) -> int | None:
        """How many CPUs are set aside, used or not; None where the driver does not tell."""
        text = self._read(self.root / _POOL)
        return None if not text else _count(text)

    def threads(self) -> int:
        """Threads of a core; 1 where this kernel does not tell."""
        return max(_count(self._read(self.root / _SIBLINGS)), 1)

    @staticmethod
    def _read(path: Path) -> str:
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def _count(listed: str) -> int:
    """How many numbers a list such as `1,3-5` names; 0 if it is no such list."""
    total = 0
    for part in listed.split(","):
        first, _, last = part.partition("-")
        if not (first.isdigit() and (last.isdigit() or not last)):
            return 0
        total += int(last or first) - int(first) + 1
    return total
