"""QEMU as a process: found, told what to boot, watched, ended; and dead when we are.

The guest is hostile: QEMU is confined by its own filter of system calls, reads no configuration of the
user's, has no network, no disk and no monitor, and what it prints goes into files of bounded size.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.errors import Unavailable
from troth.runtime.console import Console

PROGRAM: Final = "qemu-system-x86_64"
OLDEST: Final = 10
FIX: Final = (
    "install QEMU 10 or newer: qemu-system-x86 on Debian 13, from bookworm-backports on Debian 12; "
    "scripts/install_optional.sh of troth's source does it"
)
_TETHER: Final = Path(__file__).with_name("tether.py")
_VERSION: Final = re.compile(rb"QEMU emulator version (\d+)\.(\d+)")
_ASK_SECONDS: Final = 20
CONFINED: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def find() -> str:
    """The path of a QEMU that is new enough, by asking it.

    Raises:
        Unavailable: there is none.
    """
    path = shutil.which(PROGRAM)
    if path is None:
        raise Unavailable(f"there is no {PROGRAM} here", fix=FIX)
    try:
        asked = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_ASK_SECONDS,
        )
    except OSError as error:
        raise Unavailable(f"{path} cannot be executed: {error.strerror}", fix=FIX) from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{path} does not answer within {_ASK_SECONDS} s", fix=FIX) from None
    found = _VERSION.search(asked.stdout)
    if found is None:
        said = asked.stderr.decode("utf-8", "replace").strip()[-200:]
        raise Unavailable(f"{path} does not say its version: {said or 'it says nothing'}", fix=FIX)
    if int(found[1]) < OLDEST:
        version = found[0].decode("ascii").removeprefix("QEMU emulator version ")
        raise Unavailable(f"{path} is QEMU {version}, and {OLDEST} is needed", fix=FIX)
    return path


def tsc_khz(cpuinfo: Path = Path("/proc/cpuinfo")) -> int | None:
    """The frequency of this machine's time-stamp counter in kHz, or None if it does not say.

    An emulated processor has the host's counter. A guest that measures it while the host is busy gets it
    wrong, and Linux then hangs or loses its clock; told the number, it does not measure.
    """
    try:
        text = cpuinfo.read_text("ascii", "replace")
    except OSError:
        return None
    found = re.search(r"^cpu MHz\s*:\s*([0-9]+)\.([0-9]{3})", text, re.MULTILINE)
    return int(found[1] + found[2]) if found else None


def in_memory(name: str, pieces: Sequence[bytes | memoryview]) -> int:
    """A file in memory with these bytes; it is gone with the last process that has it open.

    Raises:
        Unavailable: no room.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb", buffering=0) as file:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[file.write(left) :]
    except OSError as error:
        os.close(descriptor)
        raise Unavailable(f"no memory for the {name}: {error.strerror}") from None
    return descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What QEMU is told.

    Attributes:
        program: its path.
        machine: `-M`, with its options.
        accelerator: `tcg` or `kvm`.
        cpu: `-cpu`.
        memory: MiB.
        cpus: how many.
        append: what is put behind the kernel's command line.
        more: further options.
        files: descriptors that it inherits, such as the kernel's.
        folder: where it runs; relative paths in the options are meant from there.
    """

    program: str
    machine: str
    accelerator: str
    cpu: str
    memory: int
    cpus: int
    append: str
    more: tuple[str, ...]
    files: tuple[int, ...]
    folder: Path

    def argv(self) -> list[str]:
        """The whole command."""
        return [
            self.program,
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-machine", f"{self.machine},memory-backend=memory"),
            *("-accel", self.accelerator, "-cpu", self.cpu),
            *("-m", f"{self.memory}M", "-smp", str(self.cpus)),
            # Shared with the process that moves the guest's bytes, and with nobody else.
            *("-object", f"memory-backend-memfd,id=memory,size={self.memory}M,share=on"),
            *("-append", self.append),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
            *("-sandbox", CONFINED),
            *self.more,
        ]


def tethered(argv: Sequence[str]) -> list[str]:
    """The command that runs this one, and has it die with the thread that starts it."""
    return [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *argv]


class Process:
    """A running QEMU.

    Args:
        machine: what it is to be.
        console: descriptor that takes what the guest prints.
        log: takes what QEMU itself says.
    """

    def __init__(self, machine: Machine, *, console: int, log: Console) -> None:
        try:
            self._process = subprocess.Popen(
                tethered(machine.argv()),
                cwd=machine.folder,
                env={"PATH": os.environ.get("PATH", os.defpath)},
                pass_fds=machine.files,
                # Left open, it has held up guests; and nobody types here.
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=log.write_end,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"{machine.program} cannot be started: {error.strerror}") from None
        self.pid: Final = self._process.pid
        self.watch: Final = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """QEMU's exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Waits for its end."""
        return self._process.wait()

    def worked(self) -> float:
        """Seconds of processor time that it has had; on a busy machine these are not the clock's."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_bytes()
        except OSError:
            return 0.0
        # The program's name stands in brackets and may hold anything.
        fields = text[text.rindex(b")") + 2 :].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """Ends it at once, and waits for that."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Lets go of a process that has ended."""
        os.close(self.watch)
