"""QEMU's machine `nitro-enclave` as a ground: the image file boots as it is, with `/dev/nsm` from QEMU.

QEMU reads, checks and measures the image itself and shows the registers through its own security module, so
this is a second opinion on what troth computes and on how the agent uses the device. That module signs
nothing: its documents must be refused by every verifier. It is a functional test, without isolation.
"""

from typing import Final

from troth.errors import Misuse
from troth.runtime import kvm, qemu, qemu_nitro_found
from troth.runtime.booted import CHARDEV, Booted
from troth.runtime.grounds import Job
from troth.runtime.room import check_free, check_memory

ROLE: Final = "arn:aws:iam::000000000000:role/troth"
"""What PCR3 is made of here."""
PARENT: Final = "i-00000000000000000"
"""What PCR4 is made of here."""
MODULE: Final = f"{PARENT}-enc0000000000000000"


class QemuNitro(Booted):
    """See `troth.runtime.grounds.Ground`."""

    def plan(self, job: Job) -> qemu.Machine:
        """The image's file, whole."""
        if job.debug:
            raise Misuse(
                "QEMU's enclaves have no debug mode",
                fix="leave --debug-mode away; the console is shown without it",
            )
        program = qemu_nitro_found.find()
        check_memory(job, 0)
        check_free(job)
        # Devices are found by ACPI, or by the command line where the kernel lacks it.
        acpi = "off" if job.loaded.self_contained else "on"
        return self.machine(
            job,
            program=program,
            machine=(
                f"nitro-enclave,acpi={acpi},vsock={CHARDEV},id={MODULE},parent-role={ROLE},"
                f"parent-id={PARENT}"
            ),
            fast=kvm.probe(program, f"microvm,acpi={acpi}", job.loaded.image.kernel.data),
            append=(),
            more=("-kernel", str(job.image)),
        )

    def serve(self, job: Job) -> None:
        """Nothing more: QEMU is the security module."""
