"""The simulated security module of a run, on a unix socket of mode 0600."""

import threading
from datetime import UTC, datetime

from troth.runtime.forward import listen_unix
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
    served = (listen_unix(path), module, threading.Event())
    threading.Thread(target=serve_nsm, args=served, daemon=True).start()
