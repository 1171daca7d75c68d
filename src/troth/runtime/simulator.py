"""The simulator as a ground: the image unpacked into a folder, in namespaces, beside a simulated NSM.

No isolation from the host: see `troth.runtime.sandbox`.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from troth.runtime import folders, module, sandbox, state
from troth.runtime.console import Console
from troth.runtime.forward import connect_unix
from troth.runtime.grounds import Job
from troth.runtime.unpack import unpack
from troth.wire import cpio

SCRATCH: Final = 64 * 1024 * 1024
READY: Final = "ready"
FREE: Final = "free"


class Simulator:
    """See `troth.runtime.grounds.Ground`."""

    ready_seconds: Final = 30.0
    grace: Final = 3.0

    def __init__(self, console: Console) -> None:
        self._launcher = sandbox.Launcher(console.write_end)
        console.given()
        self._watch = os.pidfd_open(self._launcher.pid)
        self._code: int | None = None

    def launch(self, job: Job) -> None:
        """Unpacks the image and starts it."""
        root = job.folder / state.ROOT
        root.mkdir(mode=0o700)
        unpack(_watched(job), root)
        module.serve(job, state.NSM)
        self._share(job)
        self._launcher.start(
            sandbox.Plan(
                root=str(root),
                nsm=str(job.folder / state.NSM),
                shared=str(job.folder / state.SHARED),
                scratch=SCRATCH,
            )
        )

    def _share(self, job: Job) -> None:
        free = Path(state.SHARED, FREE)
        with folders.explained("the data for the image cannot be written"):
            free.mkdir(parents=True, mode=0o700)
            for name, value in job.free.items():
                (free / name).write_bytes(value)

    def ready(self) -> bool:
        """Whether the agent has left the file that says so."""
        return Path(state.SHARED, READY).exists()

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        if self._code is None:
            self._code = self._launcher.poll()
        return self._code

    def wait(self) -> int:
        """Waits for the end."""
        if self._code is None:
            self._code = self._launcher.wait()
        return self._code

    def fileno(self) -> int:
        """The process that ends with the image."""
        return self._watch

    def terminate(self) -> None:
        """Asks the image's init to end."""
        if self._code is None:
            self._launcher.terminate()

    def kill(self) -> None:
        """Ends everything inside at once."""
        if self._code is None:
            self._launcher.kill()

    def connect(self, port: int) -> socket.socket:
        """To the socket that the agent made for this port."""
        return connect_unix(f"{state.SHARED}/{port}.sock")

    def close(self) -> None:
        """Lets go of the process."""
        os.close(self._watch)


def _watched(job: Job) -> Iterator[cpio.Entry]:
    for entry in job.loaded.entries:
        job.unless_stopped()
        yield entry
