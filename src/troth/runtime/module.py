"""The simulated security module of a run, on a unix socket of mode 0600."""

import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

from troth.runtime.grounds import Job


def serve(job: Job, path: str) -> None:
    """Answers for the run's image, from threads of its own, until the process ends.

    Its registers are computed from the image file, never told by what was booted.

    Args:
        job: the run's.
        path: where the socket is made; relative to the run's folder.
    """
    # Signing is imported where something is signed.
    from troth.platforms.nitro.simulate import SimulatedNsm, new_instance, serve_nsm
    from troth.platforms.nitro.simulate_pki import DevelopmentPki

    registers = {} if job.debug else job.loaded.registers
    module = SimulatedNsm(
        DevelopmentPki.from_pem_bundle(job.pki),
        registers,
        new_instance(),
        lambda: datetime.now(UTC),
    )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    Path(path).chmod(0o600)
    listener.listen(16)
    threading.Thread(
        target=serve_nsm, args=(listener, module, threading.Event()), daemon=True
    ).start()
