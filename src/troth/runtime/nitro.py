"""Real hardware: an enclave on this EC2 instance, through AWS's `nitro-cli`. Untested on hardware.

AWS measures the image, signs the evidence and answers the heartbeat; this instance starts the enclave,
carries bytes over vsock, and notices the end.
"""

import contextlib
import os
import secrets
import select
import socket
import subprocess
import threading
from typing import Final

from troth.errors import EXIT_BUG, Misuse, TrothError, Unavailable
from troth.runtime.console import Console
from troth.runtime.control import Control
from troth.runtime.grounds import Job
from troth.runtime.nitro_cli import NitroCli, Refused
from troth.runtime.nitro_guard import Guard
from troth.runtime.nitro_host import Host
from troth.runtime.room import check_memory
from troth.wire.control import CONTROL_PORT

CONNECT_SECONDS: Final = 10.0
POLL_SECONDS: Final = 5.0
"""Between questions whether the enclave is still there, beside the watch on its process."""
_ANY_CID: Final = 0xFFFF_FFFF
_LOWEST_CID: Final = 1 << 16
_KILL_TRIES: Final = 3
_KILL_PAUSE: Final = 1.0
_NO_WORD: Final = EXIT_BUG
"""The exit code of an enclave that is gone and has not said with what its app ended."""
_NO_CONSOLE: Final = b"(on nitro only an enclave in debug mode shows its console: --debug-mode)\n"


class Vsock:
    """The vsock of this instance."""

    def connect(self, cid: int, port: int) -> socket.socket:
        """A stream to an enclave's port; raises `OSError`."""
        made = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            made.settimeout(CONNECT_SECONDS)
            made.connect((cid, port))
            made.settimeout(None)
        except BaseException:
            made.close()
            raise
        return made

    def listen(self, port: int) -> socket.socket:
        """Listens for enclaves; raises `OSError`."""
        made = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            made.bind((_ANY_CID, port))
            made.listen()
        except BaseException:
            made.close()
            raise
        return made


class Nitro:
    """See `troth.runtime.grounds.Ground`."""

    ready_seconds: Final = 120.0
    grace: Final = 6.0

    def __init__(
        self, console: Console, *, host: Host | None = None, vsock: Vsock | None = None
    ) -> None:
        self._guard = Guard()
        self._console = console
        self._host = host or Host()
        self._vsock = vsock or Vsock()
        self._cid = _LOWEST_CID + secrets.randbelow(1 << 30)
        self._program: NitroCli | None = None
        self._enclave = ""
        self._control: Control | None = None
        self._printer: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None
        self._lock = threading.Lock()
        self._watched, self._signal = os.pipe()

    def launch(self, job: Job) -> None:
        """Checks what this host can give, and has `nitro-cli` start the enclave."""
        if not job.loaded.self_contained:  # it loads its drivers as modules
            raise Misuse(
                f"{job.image} has Debian's kernel, which finds no devices on Nitro hardware",
                fix='set kernel = "hardware" in troth.toml, and build the image again',
            )
        self._host.check()
        program = self._program = NitroCli.find()
        share = self._host.share(
            size=job.loaded.image.size, memory=job.loaded.memory, cpus=job.loaded.cpus
        )
        check_memory(job, 0, given=share.memory)
        self._host.check_room(share)
        self._listen(job)
        name = job.folder.name
        self._guard.arm(name)
        try:
            enclave = program.run(
                job.image,
                name=name,
                cid=self._cid,
                memory=share.memory,
                cpus=share.cpus,
                debug=job.debug,
                meanwhile=job.unless_stopped,
            )
        except Refused:
            self._guard.disarm()
            raise
        self._enclave = enclave.id
        self._watcher = threading.Thread(target=self._watch, args=(enclave.process,), daemon=True)
        self._watcher.start()
        self._show_console(program, debug=job.debug)

    def _listen(self, job: Job) -> None:
        try:
            listener = self._vsock.listen(CONTROL_PORT)
        except OSError as error:
            raise Unavailable(
                f"vsock port {CONTROL_PORT} of this instance cannot be had: {error.strerror}",
                fix="stop the other run on nitro first: troth ps; one at a time has it",
            ) from None
        self._control = Control(
            listener, job.free, admits=lambda address: bool(address[0] == self._cid)
        )
        self._control.start()

    def _show_console(self, program: NitroCli, *, debug: bool) -> None:
        if debug:
            self._printer = subprocess.Popen(
                program.console(self._enclave),
                stdin=subprocess.DEVNULL,
                stdout=self._console.write_end,
                stderr=subprocess.DEVNULL,
            )
        else:
            os.write(self._console.write_end, _NO_CONSOLE)
        self._console.given()

    def _watch(self, process: int) -> None:
        """Until the process that holds the enclave has ended and the program lists it no more."""
        with contextlib.ExitStack() as held:
            waits = [self._watched]
            with contextlib.suppress(OSError):  # another user's, or not told
                descriptor = os.pidfd_open(process)
                held.callback(os.close, descriptor)
                waits.append(descriptor)
            while not self._ended.is_set():
                ended, _, _ = select.select(waits, [], [], POLL_SECONDS)
                if self._watched in ended or self._is_gone():
                    break
                if ended:  # not the process that was meant
                    waits.pop()
        self._end()

    def _is_gone(self) -> bool:
        if self._program is None:
            return True
        try:
            listed = self._program.describe()
        except TrothError:
            return False  # it may answer next time
        return not any(e.id == self._enclave and e.state != "TERMINATING" for e in listed)

    def _end(self) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._ended.set()
                os.close(self._signal)

    def ready(self) -> bool:
        """Whether the agent has said so."""
        control = self._control
        if control is not None and control.trouble:
            raise Unavailable(
                f"the enclave's agent broke the rules: {control.trouble}",
                fix="build the image with this version of troth",
            )
        return control is not None and control.ready

    def poll(self) -> int | None:
        """The exit code, once the enclave is gone; 0 where none was started."""
        if not self._enclave:
            return 0
        return self._code() if self._ended.is_set() else None

    def wait(self) -> int:
        """Waits until the enclave is gone."""
        if self._enclave:
            self._ended.wait()
        return self._code()

    def _code(self) -> int:
        code = None if self._control is None else self._control.code
        return _NO_WORD if code is None else code

    def fileno(self) -> int:
        """A pipe whose other end is closed when the enclave is gone."""
        return self._watched

    def terminate(self) -> None:
        """Asks the agent to end the app."""
        if self._control is not None:
            self._control.stop()

    def kill(self) -> None:
        """Has `nitro-cli` end the enclave; where it can't, the guard goes on trying after us."""
        if self._program is None or not self._enclave:
            return
        for _ in range(_KILL_TRIES):
            if self._ended.is_set():
                return
            with contextlib.suppress(TrothError):
                self._program.terminate(self._enclave)
            if self._is_gone():
                break
            self._ended.wait(_KILL_PAUSE)
        self._end()

    def connect(self, port: int) -> socket.socket:
        """To a port of the enclave."""
        return self._vsock.connect(self._cid, port)

    def close(self) -> None:
        """Lets go of console, control and guard."""
        if self._printer is not None:
            self._printer.kill()
            self._printer.wait()
        if self._control is not None:
            self._control.close()
        if self._enclave and self._is_gone():
            self._guard.disarm()
        self._end()
        if self._watcher is not None:
            self._watcher.join()
        os.close(self._watched)
