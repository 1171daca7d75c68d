"""In what state does an SEV-SNP virtual processor start? Its save area is one page, and it is measured.

Layout: AMD64 Architecture Programmer's Manual, volume 2, table B-4. Values: what the loader sets, in
part by itself and in part through the host's kernel; loaders differ, so their names stand here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from troth.errors import Misuse

PAGE: Final = 4096
FIRST_ADDRESS: Final = 0xFFFF_FFF0
"""Where the first processor starts: 16 bytes below 4 GiB, in the firmware."""


class Vmm(StrEnum):
    """Who loads the guest.

    QEMU on an upstream host kernel (AMD's own before 6.9 left MXCSR and the x87 control word zero). EC2
    as it was seen in April 2026; EC2_2023 is how it began, and differs in one register. When that
    changed is not published, so a policy for EC2 may expect both. GCE on Milan, where guest addresses
    end at bit 47.
    """

    QEMU = "qemu"
    EC2 = "ec2"
    EC2_2023 = "ec2-2023"
    GCE = "gce"


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuSignature:
    """What CPUID function 1 says in EAX (AMD publication 25481).

    Attributes:
        family: base and extended family added, as AMD writes it (25 is 19h, Milan and Genoa).
        model: base and extended model together.
        stepping: 0 to 15.
    """

    family: int
    model: int
    stepping: int

    def __post_init__(self) -> None:
        """Refuse what the register can't hold."""
        parts = (self.family, 15 + 255), (self.model, 255), (self.stepping, 15)
        if not all(0 <= part <= most for part, most in parts):
            raise Misuse(f"{self.family}, {self.model}, {self.stepping} are no processor's numbers")

    @property
    def value(self) -> int:
        """The register: stepping, model, family, extended model, extended family."""
        base = min(self.family, 15)
        return (
            self.stepping
            | (self.model & 15) << 4
            | base << 8
            | (self.model >> 4) << 16
            | (self.family - base) << 20
        )


_ROME: Final = CpuSignature(family=23, model=49, stepping=0)
_NAPLES: Final = CpuSignature(family=23, model=1, stepping=2)
_MILAN: Final = CpuSignature(family=25, model=1, stepping=1)
_GENOA: Final = CpuSignature(family=25, model=17, stepping=0)
_TURIN: Final = CpuSignature(family=26, model=0, stepping=0)

_VERSIONS: Final[Mapping[str, tuple[CpuSignature, int]]] = {
    "EPYC": (_NAPLES, 5),
    "EPYC-Rome": (_ROME, 5),
    "EPYC-Milan": (_MILAN, 3),
    "EPYC-Genoa": (_GENOA, 2),
    "EPYC-Turin": (_TURIN, 1),
}

CPU_TYPES: Final[Mapping[str, CpuSignature]] = MappingProxyType(
    {"EPYC-IBPB": _NAPLES}
    | {name: signature for name, (signature, _) in _VERSIONS.items()}
    | {
        f"{name}-v{version}": signature
        for name, (signature, last) in _VERSIONS.items()
        for version in range(1, last + 1)
    }
)
"""QEMU's names of processors with SEV. Versions of one name differ in features, not in signature."""


def signature(vcpu: str | CpuSignature) -> CpuSignature:
    """A processor by QEMU's name or by its numbers.

    Raises:
        Misuse: QEMU knows no processor of this name that could run an SEV-SNP guest.
    """
    if isinstance(vcpu, CpuSignature):
        return vcpu
    if vcpu not in CPU_TYPES:
        raise Misuse(
            f"{vcpu!r} is none of QEMU's names of EPYC processors",
            fix=f"use one of {', '.join(CPU_TYPES)}, or the processor's family, model and stepping",
        )
    return CPU_TYPES[vcpu]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """Sixteen bytes: selector u16, attributes u16, limit u32, base u64."""

    selector: int = 0
    attributes: int = 0
    limit: int = 0xFFFF
    base: int = 0

    def __bytes__(self) -> bytes:
        parts = (self.selector, 2), (self.attributes, 2), (self.limit, 4), (self.base, 8)
        return b"".join(value.to_bytes(size, "little") for value, size in parts)


# Attributes of segments after a reset: present, and data that can be written and was accessed (93h),
# code that can be read and was accessed (9Bh), a local descriptor table (82h), a busy task (8Bh).
_DATA: Final = _Segment(attributes=0x93)
_LDT: Final = _Segment(attributes=0x82)
_TABLE: Final = _Segment()

_SEGMENTS: Final = ("es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr")
"""In the order of the page, from its start."""

_REGISTERS: Final[Mapping[str, tuple[int, int]]] = {  # name: offset, size in bytes
    "efer": (0xD0, 8),
    "cr4": (0x148, 8),
    "cr0": (0x158, 8),
    "dr7": (0x160, 8),
    "dr6": (0x168, 8),
    "rflags": (0x170, 8),
    "rip": (0x178, 8),
    "g_pat": (0x268, 8),
    "rdx": (0x310, 8),
    "sev_features": (0x3B0, 8),
    "xcr0": (0x3E8, 8),
    "mxcsr": (0x408, 4),
    "x87_fcw": (0x410, 2),
}
"""The registers that are not zero at the start, whoever loads."""

_RESET: Final[Mapping[str, int]] = {
    "efer": 0x1000,  # SVME: KVM sets it in every guest
    "cr4": 0x40,  # MCE: KVM sets it in every encrypted guest
    "cr0": 0x10,  # ET, which is always one
    "dr7": 0x400,  # bit 10 is always one
    "dr6": 0xFFFF_0FF0,  # bits that are always one
    "rflags": 0x2,  # bit 1 is always one
    "g_pat": 0x0007_0406_0007_0406,  # memory types after a reset (volume 2, section 7.8.1)
    "xcr0": 0x1,  # x87, which can't be off
}


def page(
    *, start: int, vmm: Vmm, vcpu: str | CpuSignature | None, features: int, first: bool
) -> bytes:
    """A processor's save area, 4096 bytes.

    Args:
        start: the address of its first instruction; CS holds the upper half, RIP the lower.
        vmm: who loads the guest.
        vcpu: its type; None where the loader writes a constant instead.
        features: SEV_FEATURES, as in the guest's policy of features.
        first: it is the boot processor.

    Raises:
        Misuse: the type is missing where it is measured, or given where it isn't.
    """
    registers = dict(_RESET) | {"rip": start & 0xFFFF, "sev_features": features}
    code, stack, task = 0x9B, 0x93, 0x8B
    if vmm is Vmm.QEMU:
        if vcpu is None:
            raise Misuse("QEMU measures the processor's type, and none is given")
        # After a reset RDX holds the processor's signature.
        registers |= {"rdx": signature(vcpu).value, "mxcsr": 0x1F80, "x87_fcw": 0x37F}
    else:
        if vcpu is not None:
            raise Misuse(f"{vmm} measures no type of processor", fix="leave the type away")
        registers["rdx"] = 0 if vmm is Vmm.EC2_2023 else 0x600
    if vmm in (Vmm.EC2, Vmm.EC2_2023):
        # The accessed bits are clear, but for the code segment of started processors.
        code, stack, task = 0x9A if first else 0x9B, 0x92, 0x83
    if vmm is Vmm.GCE:
        registers["g_pat"] = 0x0007_0106
    segments = {
        "es": _DATA,
        "cs": _Segment(selector=0xF000, attributes=code, base=start & 0xFFFF_0000),
        "ss": _Segment(attributes=stack),
        "ds": _DATA,
        "fs": _DATA,
        "gs": _DATA,
        "gdtr": _TABLE,
        "ldtr": _LDT,
        "idtr": _TABLE,
        "tr": _Segment(attributes=task),
    }
    area = bytearray(PAGE)
    for index, name in enumerate(_SEGMENTS):
        area[16 * index : 16 * index + 16] = bytes(segments[name])
    for name, (offset, size) in _REGISTERS.items():
        area[offset : offset + size] = registers.get(name, 0).to_bytes(size, "little")
    return bytes(area)
