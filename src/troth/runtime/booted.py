"""What all grounds share that boot an image in QEMU: vsock, heartbeat, control channel, signs of life, the end.

The image runs with its own kernel and init. It is a functional test: this machine sees and may change
everything inside, and whether QEMU keeps a guest in is QEMU's affair.
"""

import contextlib
import os
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from troth.errors import EXIT_BUG, Unavailable
from troth.runtime import kvm, qemu, state
from troth.runtime.console import Console
from troth.runtime.control import Control, answer_heartbeats
from troth.runtime.forward import listen_unix
from troth.runtime.grounds import Job
from troth.runtime.vsock import Vsock
from troth.wire import control

STALLED: Final = 30.0
"""Seconds without any sign of life after which a boot that does nothing is begun anew, once."""
TOILED: Final = 20.0
"""The same in seconds of processor time, for one that does something: it needs two to three."""
IDLE: Final = 0.5
"""Seconds of processor time in `STALLED` below which it does nothing."""
LOST: Final = EXIT_BUG
"""The exit code of an image whose machine ended without a word from its agent."""
LOG: Final = "qemu.log"
CHARDEV: Final = "vsock"
"""The name under which QEMU knows the vsock device's other end."""
_FRONT: Final = "vhost.sock"
_UDS: Final = "vsock"
_PANIC: Final = "Kernel panic"


class Booted(ABC):
    """See `troth.runtime.grounds.Ground`."""

    ready_seconds: Final = 120.0
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
        self._worked = 0.0
        # What is waited for where nothing was launched: it has ended.
        self._nothing = os.eventfd(1, os.EFD_CLOEXEC)
        self._held.callback(os.close, self._nothing)
        self._held.callback(self._log.given)
        self._held.callback(self._console.given)

    @abstractmethod
    def plan(self, job: Job) -> qemu.Machine:
        """Says what QEMU is to boot; see `machine`.

        Raises:
            Misuse: the image is not for this ground.
            Unavailable: this machine lacks what it takes.
        """

    @abstractmethod
    def serve(self, job: Job) -> None:
        """Serves what further ports of the host's a guest will ask for: see `path_of`."""

    def launch(self, job: Job) -> None:
        """Plans, makes what the guest will reach, and boots."""
        self._machine = self.plan(job)
        self._log.start(job.folder / LOG)
        self._control = Control(listen_unix(path_of(control.CONTROL_PORT)), job.free)
        self._held.callback(self._control.close)
        self._control.start()
        heartbeat = listen_unix(path_of(control.HEARTBEAT_PORT))
        self._held.callback(_shut, heartbeat)
        answer_heartbeats(heartbeat)
        self.serve(job)
        self._vsock = Vsock(Path(_FRONT), Path(_UDS))
        self._vsock.start()
        self._held.callback(self._vsock.close)
        job.unless_stopped()
        self._boot()

    def machine(
        self,
        job: Job,
        *,
        program: str,
        machine: str,
        fast: kvm.Tried,
        append: Sequence[str],
        more: Sequence[str],
        files: Sequence[int] = (),
    ) -> qemu.Machine:
        """A machine with the image's memory and processors, and a vsock device's other end.

        Args:
            job: the run's.
            program: QEMU.
            machine: `-machine`.
            fast: what came of trying KVM.
            append: the words before those of `appended` on the kernel's command line.
            more: further options.
            files: descriptors that it inherits.
        """
        khz = None if fast.works else qemu.tsc_khz()
        simple = job.loaded.cpus == 1 and job.loaded.self_contained
        return qemu.Machine(
            program=program,
            machine=machine,
            accelerator="kvm" if fast.works else "tcg",
            # Emulated, "enhanced" and "fast short rep movsb" go byte by byte; without them Linux moves words.
            cpu="host" if fast.works else "max,-erms,-fsrm",
            memory=job.loaded.memory,
            cpus=job.loaded.cpus,
            append=" ".join([*append, appended(fast=fast.works, khz=khz, simple=simple)]),
            more=("-chardev", f"socket,id={CHARDEV},path={_FRONT}", *more),
            files=tuple(files),
            folder=job.folder,
        )

    def in_memory(self, name: str, pieces: Sequence[bytes | memoryview]) -> int:
        """A file in memory that lasts as long as the ground."""
        descriptor = qemu.in_memory(name, pieces)
        self._held.callback(os.close, descriptor)
        return descriptor

    def _boot(self) -> None:
        if self._machine is None:
            raise AssertionError("nothing was planned")
        self._signs = _size(state.CONSOLE)
        self._alive_at = time.monotonic()
        self._process = qemu.Process(self._machine, console=self._console.write_end, log=self._log)
        self._held.callback(self._process.close)
        self._worked = 0.0

    def ready(self) -> bool:
        """Whether the agent has said so. A boot that shows no sign of life is begun anew, once."""
        if self._control is None or self._process is None or self._control.ready:
            return self._control is not None and self._control.ready
        if self._process.poll() is not None and self._control.code is None:
            raise Unavailable(
                f"{self._why_ended()}{_quoted(LOG)}",
                fix="read what it printed; `troth run` without --on shows whether the app itself runs",
            )
        if self._control.trouble:
            raise Unavailable(
                f"the image's agent does not keep to the control channel: {self._control.trouble}",
                fix="build the image again with this version of troth",
            )
        signs = _size(state.CONSOLE) + self._control.met
        if signs != self._signs or self._control.met:
            self._signs, self._alive_at = signs, time.monotonic()
            self._worked = self._process.worked()
        elif self._stands_still(self._process):
            self._process.kill()
            if not self._again:
                raise Unavailable(
                    "the image's kernel was booted twice and showed no sign of life either time",
                    fix="run it on a machine that is less busy, or with --on simulator",
                )
            self._again = False
            self._boot()
        return False

    def _stands_still(self, process: qemu.Process) -> bool:
        """Whether a boot without a sign of life has had its time: of the clock if idle, else of work."""
        if time.monotonic() - self._alive_at < STALLED:
            return False
        worked = process.worked() - self._worked
        return worked < IDLE or worked > TOILED

    @property
    def met(self) -> bool:
        """Whether the agent has come, and has the host's data."""
        return self._control is not None and self._control.met

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
        if _PANIC.encode() in _end(state.CONSOLE):
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


def appended(*, fast: bool, khz: int | None, simple: bool) -> str:
    """What is put behind the image's own command line; none of it is measured.

    Args:
        fast: whether the processor is the machine's own, and not emulated.
        khz: frequency of the time-stamp counter where it is emulated; see `qemu.tsc_khz`.
        simple: whether it is one processor under troth's own kernel.
    """
    words = ["quiet", "panic=-1", "reboot=t"]
    if khz is not None:
        words.append(f"tsc_early_khz={khz}")
    if not fast:
        words.append("mitigations=off")  # what is emulated does not speculate
        if simple:
            # Linux measures the timer that each processor has for a quarter of a second. A single one
            # can do with the machine's, whose ports need no pause when they are emulated. Not under
            # Debian's kernel: its timers then fail as soon as it is idle.
            words += ["nolapic_timer", "io_delay=none"]
    return " ".join(words)


def path_of(port: int) -> str:
    """The unix socket at which the guest reaches this port of the host's."""
    return f"{_UDS}_{port}"


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
        # What a panic prints behind its first line is for those who know that kernel.
        panic = next((n for n, line in enumerate(lines) if _PANIC in line), len(lines))
        lines = lines[: panic + 1]
        if lines:
            found.append(f"; {who} said: {' · '.join(lines[-6:])[-600:]}")
    return "".join(found)
