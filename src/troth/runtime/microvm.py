"""A microvm as a ground: the image boots, with its own kernel and init, in QEMU on this machine.

What is the image's runs as on hardware; what is hardware's is simulated. The security module is the one of
the simulator, reached over vsock from a device that a ramdisk outside the image makes. It is a functional
test: this machine sees and may change everything inside, and whether QEMU keeps a guest in is QEMU's affair.
"""

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import Final

from troth.errors import Misuse, Unavailable
from troth.runtime import kvm, local_ramdisk, module, qemu, state
from troth.runtime.console import Console
from troth.runtime.control import Control, answer_heartbeats
from troth.runtime.grounds import Job
from troth.runtime.vsock import Vsock
from troth.wire import control

STALLED: Final = 30.0
"""Seconds without any sign of life after which a boot is begun anew, once."""
LOST: Final = 70
"""The exit code of an image whose machine ended without a word from its agent."""
MODULES: Final = "usr/lib/modules/load"
LOG: Final = "qemu.log"
_FRONT: Final = "vhost.sock"
_UDS: Final = "vsock"
_KERNEL_MEMORY: Final = 64
"""MiB for the kernel and the agent, beside the image's files."""
_MIB: Final = 1 << 20


class Microvm:
    """See `troth.runtime.grounds.Ground`."""

    ready_seconds: Final = 90.0
    grace: Final = 6.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._log = Console()
        self._process: qemu.Process | None = None
        self._machine: qemu.Machine | None = None
        self._control: Control | None = None
        self._vsock: Vsock | None = None
        self._held = contextlib.ExitStack()
        self._again = True
        self._signs = 0
        self._alive_at = 0.0
        # What is waited for where nothing was launched: it has ended.
        self._nothing = os.eventfd(1, os.EFD_CLOEXEC)
        self._held.callback(os.close, self._nothing)
        self._held.callback(self._log.given)
        self._held.callback(self._console.given)

    def launch(self, job: Job) -> None:
        """Finds QEMU, makes what the guest will reach, and boots."""
        program = qemu.find()
        local = local_ramdisk.make(
            {} if self_contained(job) else local_ramdisk.modules_of(job.image)
        )
        check_memory(job, sum(map(len, local)))
        self._log.start(job.folder / LOG)
        self._control = Control(_listen(f"{_UDS}_{control.CONTROL_PORT}"), job.free)
        self._held.callback(self._control.close)
        self._control.start()
        heartbeat = _listen(f"{_UDS}_{control.HEARTBEAT_PORT}")
        self._held.callback(_shut, heartbeat)
        answer_heartbeats(heartbeat)
        module.serve(job, f"{_UDS}_{control.MODULE_PORT}")
        self._vsock = Vsock(Path(_FRONT), Path(_UDS))
        self._vsock.start()
        self._held.callback(self._vsock.close)
        job.unless_stopped()
        self._machine = self._planned(job, program, local)
        self._boot()

    def _planned(
        self, job: Job, program: str, local: tuple[bytes | memoryview, ...]
    ) -> qemu.Machine:
        image = job.loaded.image
        ramdisks = [piece for section in image.ramdisks for piece in section.pieces]
        kernel = qemu.in_memory("kernel", image.kernel.pieces)
        self._held.callback(os.close, kernel)
        initrd = qemu.in_memory("ramdisk", [*ramdisks, *local])
        self._held.callback(os.close, initrd)
        # Devices are found by ACPI, or by the command line where the kernel lacks it: see the
        # hardware kernel's page.
        acpi = "off" if self_contained(job) else "on"
        machine = f"microvm,acpi={acpi},pcie=off,rtc=on"
        fast = kvm.probe(program, machine, image.kernel.data)
        line = bytes(image.command_line.data).decode("utf-8", "replace")
        khz = None if fast.works else qemu.tsc_khz()
        return qemu.Machine(
            program=program,
            machine=machine,
            accelerator="kvm" if fast.works else "tcg",
            cpu="host" if fast.works else "max",
            memory=job.loaded.memory,
            cpus=job.loaded.cpus,
            append=f"{line} {appended(khz)}",
            more=(
                *("-kernel", f"/proc/self/fd/{kernel}", "-initrd", f"/proc/self/fd/{initrd}"),
                *("-global", "virtio-mmio.force-legacy=false"),
                *("-chardev", f"socket,id=vsock,path={_FRONT}"),
                *("-device", "vhost-user-vsock-device,chardev=vsock"),
            ),
            files=(kernel, initrd),
            folder=job.folder,
        )

    def _boot(self) -> None:
        if self._machine is None:
            raise AssertionError("nothing was planned")
        self._signs = _size(state.CONSOLE)
        self._alive_at = time.monotonic()
        self._process = qemu.Process(self._machine, console=self._console.write_end, log=self._log)

    def ready(self) -> bool:
        """Whether the agent has said so. A boot that shows no sign of life is begun anew, once."""
        if self._control is None or self._process is None or self._control.ready:
            return self._control is not None and self._control.ready
        if self._process.poll() is not None and self._control.code is None:
            raise Unavailable(
                f"{self._why_ended()}{_quoted(LOG)}",
                fix="read what it printed; `troth run` without --on shows whether the app itself runs",
            )
        signs = _size(state.CONSOLE) + self._control.met
        if signs != self._signs or self._control.met:
            self._signs, self._alive_at = signs, time.monotonic()
        elif time.monotonic() - self._alive_at > STALLED:
            self._process.kill()
            if not self._again:
                raise Unavailable(
                    f"the image's kernel was booted twice and showed no sign of life within "
                    f"{STALLED:g} s each time",
                    fix="run it on a machine that is less busy, or with --on simulator",
                )
            self._again = False
            self._boot()
        return False

    def poll(self) -> int | None:
        """The exit code, once the machine has ended."""
        if self._process is None:
            return 0
        return None if self._process.poll() is None else self._code()

    def wait(self) -> int:
        """Waits until the machine has ended."""
        if self._process is None:
            return 0
        self._process.wait()
        code = self._code()
        if self._control is not None and self._control.code is None and self._control.ready:
            words = f"troth: {self._why_ended()}\n".encode()
            with contextlib.suppress(OSError):
                os.write(self._console.write_end, words)
        return code

    def _code(self) -> int:
        said = None if self._control is None else self._control.code
        return LOST if said is None else said

    def _why_ended(self) -> str:
        """The end of a machine whose agent has said nothing of it."""
        code = None if self._process is None else self._process.poll()
        if code is not None and code < 0:
            return f"QEMU was ended by signal {-code}"
        if code:
            return f"QEMU ended with {code}"
        if b"Kernel panic" in _end(state.CONSOLE):
            return "the image's kernel panicked"
        return "the machine ended without a word from its agent"

    def fileno(self) -> int:
        """QEMU."""
        return self._nothing if self._process is None else self._process.watch

    def terminate(self) -> None:
        """Has the agent end its app; a machine whose agent has not come is just ended."""
        if self._control is not None and self._control.met:
            self._control.stop()
        else:
            self.kill()

    def kill(self) -> None:
        """Ends QEMU."""
        if self._process is not None:
            self._process.kill()

    def connect(self, port: int) -> socket.socket:
        """Through the vsock device."""
        if self._vsock is None:
            raise ConnectionRefusedError
        return self._vsock.connect(port)

    def close(self) -> None:
        """Lets go of all of it."""
        self._held.close()


def self_contained(job: Job) -> bool:
    """Whether the image's kernel has all that it needs built in, as troth's own has, and no ACPI."""
    listed = next((entry for entry in job.loaded.entries if entry.path == MODULES), None)
    return listed is None or not bytes(listed.data).strip()


def check_memory(job: Job, more: int) -> None:
    """Refuses an image that could not be unpacked in the memory it asks for: its kernel would panic.

    Args:
        job: the run's.
        more: bytes of what is unpacked beside the image.

    Raises:
        Misuse: its recipe gives it too little.
        Unavailable: this machine has less than that.
    """
    packed = sum(section.size for section in job.loaded.image.ramdisks) + more
    unpacked = sum(len(entry.data) for entry in job.loaded.entries) + more
    # The archives stay until all is unpacked.
    needed = -(-(packed + unpacked) // _MIB) + _KERNEL_MEMORY
    given = job.loaded.memory
    if needed > given:
        raise Misuse(
            f"{job.loaded.name} has {unpacked // _MIB} MiB of files, which are unpacked into its "
            f"memory: it takes {needed} MiB to boot, and its recipe gives it {given}",
            fix=f"set memory = {needed} or more in its troth.toml, and build it again",
        )
    free = _available()
    if free is not None and free < given:
        raise Unavailable(
            f"{job.loaded.name} asks for {given} MiB of memory, and this machine has {free} free",
            fix="end other programs, or set a smaller memory in its troth.toml",
        )


def appended(khz: int | None) -> str:
    """What is put behind the image's own command line; none of it is measured.

    Args:
        khz: frequency of the time-stamp counter where it is emulated; see `qemu.tsc_khz`.
    """
    words = ["quiet", "panic=-1", "reboot=t", f"rdinit={local_ramdisk.INIT}"]
    if khz is not None:
        words.append(f"tsc_early_khz={khz}")
    return " ".join(words)


def _available() -> int | None:
    """MiB that programs of this machine could have, or None if it does not say."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(listener.fileno(), 0o600)
    listener.bind(path)
    listener.listen(16)
    return listener


def _shut(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
    listener.close()


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _end(path: str) -> bytes:
    try:
        return Path(path).read_bytes()[-8192:]
    except OSError:
        return b""


def _quoted(path: str) -> str:
    """The last words of a file and of the console, for an error."""
    found = []
    for name, who in ((path, "QEMU"), (state.CONSOLE, "the guest")):
        text = _end(name).decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            found.append(f"; {who} said: {' · '.join(lines[-6:])[-600:]}")
    return "".join(found)
