"""A microvm as a ground: the image boots, with its own kernel and init, in a stock QEMU on this machine.

What is the image's runs as on hardware; what is hardware's is simulated. The security module is the one of
the simulator, reached over vsock from a device that a ramdisk outside the image makes.
"""

import os
from collections.abc import Sequence

from troth.errors import Misuse
from troth.runtime import kvm, local_ramdisk, module, qemu
from troth.runtime.booted import CHARDEV, Booted, path_of
from troth.runtime.grounds import Job
from troth.runtime.room import check_free, check_memory, memory_to_boot
from troth.wire import control, cpio


class Microvm(Booted):
    """See `troth.runtime.grounds.Ground`."""

    def plan(self, job: Job) -> qemu.Machine:
        """The image's kernel, and its ramdisks with the local one behind them."""
        program = qemu.find()
        alone = job.loaded.self_contained
        local = local_ramdisk.make({} if alone else local_ramdisk.modules_of(job.image))
        more = _size(local)
        image = job.loaded.image
        # Devices are found by ACPI, or by the command line where the kernel lacks it: see the
        # hardware kernel's page.
        acpi = "off" if alone else "on"
        machine = f"microvm,acpi={acpi},pcie=off,rtc=on"
        fast = kvm.probe(program, machine, image.kernel.data)
        ramdisks: Sequence[bytes | memoryview] = [section.data for section in image.ramdisks]
        if not fast.works:
            # An emulated processor takes a second to decompress them. It gets what was read already,
            # where there is room for that.
            whole = cpio.pack(job.loaded.entries)
            if memory_to_boot(job, more, packed=_size(whole) + more) <= job.loaded.memory:
                ramdisks = whole
        check_memory(job, more, packed=_size(ramdisks) + more)
        check_free(job)
        kernel = self.in_memory("kernel", image.kernel.pieces)
        initrd = self.in_memory("ramdisk", [*ramdisks, *local])
        line = os.fsdecode(bytes(image.command_line.data))
        if "\0" in line:
            raise Misuse(
                f"{job.image} has a command line with a NUL in it, which QEMU cannot be told",
                fix="run it with --on qemu-nitro, or build it without",
            )
        return self.machine(
            job,
            program=program,
            machine=machine,
            fast=fast,
            append=(line, f"rdinit={local_ramdisk.INIT}"),
            more=(
                *("-kernel", f"/proc/self/fd/{kernel}", "-initrd", f"/proc/self/fd/{initrd}"),
                *("-global", "virtio-mmio.force-legacy=false"),
                *("-device", f"vhost-user-vsock-device,chardev={CHARDEV}"),
            ),
            files=(kernel, initrd),
        )

    def serve(self, job: Job) -> None:
        """The security module."""
        module.serve(job, path_of(control.MODULE_PORT))


def _size(pieces: Sequence[bytes | memoryview]) -> int:
    return sum(map(len, pieces))
