"""What will a guest measure to on SEV-SNP, from its firmware, kernel and processors alone?

The launch digest begins as 48 zero bytes. Each page that the loader adds replaces it by SHA-384 of a
PAGE_INFO of 112 bytes: digest so far, SHA-384 of the page (zeros where the content is not measured),
size, type, flags and address (AMD publication 56860, SNP_LAUNCH_UPDATE, table "PAGE_INFO"). So the
order counts, and it is the loader's: first the firmware, then the sections that the firmware asks for,
then one page of registers for each processor.

Only what the digest covers is said by it. Without kernel hashes nothing after the firmware is covered:
neither kernel, nor command line, nor disk.

Does not verify: anything. It is a prediction; a report that shows this digest must be genuine as well.
"""

import hashlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Final
from uuid import UUID

from troth.errors import Misuse
from troth.platforms.snp import vmsa
from troth.platforms.snp.vmsa import CPU_TYPES, CpuSignature, Vmm
from troth.wire import ovmf
from troth.wire.ovmf import PAGE, Ovmf, SevKind, SevSection

__all__ = ["CPU_TYPES", "CpuSignature", "Vmm", "expected", "hashes_table", "launch_digest"]

ZERO: Final = bytes(48)
MAX_VCPUS: Final = 4096
"""KVM's own limit."""
SNP_ACTIVE: Final = 1
VMSA_ADDRESS: Final = 0xFFFF_FFFF_F000
"""Registers have no address; the loader gives the last page below 2⁴⁸ for each processor."""

_TABLE: Final = UUID("9438d606-4f22-4cc9-b479-a793d411fd21")
_KERNEL: Final = UUID("4de79437-abd2-427f-b835-d5b172d2045b")
_INITRD: Final = UUID("44baf731-3a2f-4bd7-9af1-41e29169781d")
_COMMAND_LINE: Final = UUID("97d02dd8-bd20-4c94-aa78-e7714d36ab2a")


class _Page(IntEnum):
    """AMD's types of page."""

    NORMAL = 1
    VMSA = 2
    ZERO = 3
    UNMEASURED = 4
    SECRETS = 5
    CPUID = 6


class _Digest:
    """The launch digest while it grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = ZERO

    def add(self, kind: _Page, address: int, content: bytes = ZERO) -> None:
        """One page; `content` is its SHA-384, or zeros where it is not measured."""
        # Size of this structure, type, not an initial migration image, no rights at VMPL 3 to 1.
        head = b"\x70\x00" + bytes((kind, 0, 0, 0, 0, 0))
        info = self.value + content + head + address.to_bytes(8, "little")
        self.value = hashlib.sha384(info).digest()

    def add_all(self, kind: _Page, section: SevSection) -> None:
        for address in range(section.address, section.address + section.size, PAGE):
            self.add(kind, address)


def launch_digest(
    *,
    firmware: bytes,
    vcpus: int,
    vcpu_type: str | CpuSignature | None,
    vmm: Vmm,
    guest_features: int = SNP_ACTIVE,
    kernel: bytes | None = None,
    initrd: bytes | None = None,
    append: str | None = None,
) -> bytes:
    """The 48-byte MEASUREMENT that reports of this guest will show.

    Args:
        firmware: the OVMF image that is mapped below 4 GiB.
        vcpus: how many processors the guest starts with.
        vcpu_type: QEMU's name of the processor, or its numbers; None on EC2 and GCE, which do not
            measure it.
        vmm: who loads the guest.
        guest_features: SEV_FEATURES; bit 0 (SNP) must be set, bit 5 is debug register swapping.
        kernel: the kernel's file, where the loader starts it directly and hashes it
            (QEMU with `kernel-hashes=on`).
        initrd: its initial RAM disk; None is an empty one.
        append: its command line, without a NUL; None is an empty one.

    Raises:
        Misuse: the arguments contradict each other or the firmware.
        Malformed: the firmware can't be read in one way only.
    """
    _check(
        vcpus=vcpus,
        features=guest_features,
        vmm=vmm,
        kernel=kernel,
        initrd=initrd,
        append=append,
    )
    image = ovmf.read(firmware)
    reset, sections = image.reset_address(), image.sev_sections()
    hashes = None if kernel is None else _hashes_page(image, sections, kernel, initrd, append)
    digest = _Digest()
    for offset in range(0, len(firmware), PAGE):
        content = hashlib.sha384(firmware[offset : offset + PAGE]).digest()
        digest.add(_Page.NORMAL, image.address + offset, content)
    _add_sections(digest, sections, vmm, hashes)
    first = hashlib.sha384(
        vmsa.page(
            start=vmsa.FIRST_ADDRESS, vmm=vmm, vcpu=vcpu_type, features=guest_features, first=True
        )
    ).digest()
    other = hashlib.sha384(
        vmsa.page(start=reset, vmm=vmm, vcpu=vcpu_type, features=guest_features, first=False)
    ).digest()
    for content in (first, *(other for _ in range(vcpus - 1))):
        digest.add(_Page.VMSA, VMSA_ADDRESS, content)
    return digest.value


def expected(digest: bytes) -> Mapping[str, Mapping[str, str]]:
    """A launch digest as `Policy.for_image` takes it: platform to register to lower-case hex."""
    return {"snp": {"measurement": digest.hex()}}


def hashes_table(kernel: bytes, initrd: bytes, append: str) -> bytes:
    """QEMU's table of what it starts directly, 176 bytes (target/i386/sev.c).

    Entries are GUID, u16 size of the entry, SHA-256; the table begins with GUID and size of its own,
    and zeros fill it up to a multiple of 16.

    Args:
        kernel: its file as it stands; QEMU doesn't patch it in confidential guests.
        initrd: may be empty.
        append: the command line; a NUL ends it, and is hashed with it.
    """
    named = (
        (_COMMAND_LINE, append.encode() + b"\0"),
        (_INITRD, initrd),
        (_KERNEL, kernel),
    )
    entries = b"".join(
        name.bytes_le + (16 + 2 + 32).to_bytes(2, "little") + hashlib.sha256(data).digest()
        for name, data in named
    )
    size = 16 + 2 + len(entries)
    table = _TABLE.bytes_le + size.to_bytes(2, "little") + entries
    return table + bytes(-len(table) % 16)


def _check(
    *,
    vcpus: int,
    features: int,
    vmm: Vmm,
    kernel: bytes | None,
    initrd: bytes | None,
    append: str | None,
) -> None:
    if not 1 <= vcpus <= MAX_VCPUS:
        raise Misuse(f"{vcpus} processors; a guest has 1 to {MAX_VCPUS}")
    if features >> 64 or not features & SNP_ACTIVE:
        raise Misuse(f"guest features {features:#x} are not 64 bits with bit 0, which makes it SNP")
    if kernel is None:
        if initrd is not None or append is not None:
            raise Misuse("a RAM disk or command line without a kernel is not measured")
        return
    if vmm is not Vmm.QEMU:
        raise Misuse(f"{vmm} starts no kernel directly", fix="measure the firmware alone")
    if not kernel:
        raise Misuse("the kernel is empty")
    if append is not None and "\0" in append:
        raise Misuse("the command line holds a NUL, where it would end")


def _hashes_page(
    image: Ovmf,
    sections: tuple[SevSection, ...],
    kernel: bytes,
    initrd: bytes | None,
    append: str | None,
) -> bytes:
    """SHA-384 of the page that holds the hashes."""
    address = image.hashes_address()
    section = next((item for item in sections if item.kind is SevKind.KERNEL_HASHES), None)
    if address is None or section is None:
        raise Misuse(
            "this firmware takes no kernel hashes, so nothing would bind the kernel",
            fix="use firmware built from OvmfPkg/AmdSev, or measure without a kernel",
        )
    if address - address % PAGE != section.address:
        raise Misuse(
            f"the firmware looks for kernel hashes at {address:#x}, outside the page at "
            f"{section.address:#x} that is measured"
        )
    table = hashes_table(kernel, initrd or b"", append or "")
    before = address % PAGE
    return hashlib.sha384(bytes(before) + table + bytes(PAGE - before - len(table))).digest()


def _add_sections(
    digest: _Digest, sections: tuple[SevSection, ...], vmm: Vmm, hashes: bytes | None
) -> None:
    late = vmm in (Vmm.EC2, Vmm.EC2_2023)  # EC2 adds the CPUID page after all others
    for section in sections:
        match section.kind:
            case SevKind.MEMORY if vmm is Vmm.GCE:
                digest.add_all(_Page.UNMEASURED, section)
            case SevKind.KERNEL_HASHES if hashes is not None:
                digest.add(_Page.NORMAL, section.address, hashes)
            case SevKind.MEMORY | SevKind.CALLING_AREA | SevKind.KERNEL_HASHES:
                digest.add_all(_Page.ZERO, section)
            case SevKind.SECRETS:
                digest.add_all(_Page.SECRETS, section)
            case SevKind.CPUID if not late:
                digest.add_all(_Page.CPUID, section)
            case SevKind.CPUID:
                pass
    for section in sections:
        if late and section.kind is SevKind.CPUID:
            digest.add_all(_Page.CPUID, section)
