"""The machines that images are for, and what each is called by those who name it."""

from dataclasses import dataclass
from typing import Final

from troth.image import elf


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A kind of machine.

    Attributes:
        name: Debian's word for it, which recipes and locks use.
        machine: Linux's word for it, which wheels use.
        elf: what a program for it is compiled for, in words.
        kernel: the metapackage that depends on the newest cloud kernel, which alone is taken.
        flags: bits of an EIF's header.
        raw: whether its kernel is a raw image, and not one that unpacks itself.
    """

    name: str
    machine: str
    elf: str
    kernel: str
    flags: int
    raw: bool


AMD64: Final = Architecture(
    name="amd64",
    machine="x86_64",
    elf=elf.X86_64,
    kernel="linux-image-cloud-amd64",
    flags=0,
    raw=False,
)
ARM64: Final = Architecture(
    name="arm64",
    machine="aarch64",
    elf=elf.ARM_64,
    kernel="linux-image-cloud-arm64",
    flags=1,
    raw=True,
)
ARCHITECTURES: Final = {one.name: one for one in (AMD64, ARM64)}
BUILDER: Final = AMD64
"""What images are built on: bytecode is compiled by an interpreter for it."""
DEFAULT: Final = AMD64.name
