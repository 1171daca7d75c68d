"""The ways in which an image can run, each tried as far as that goes without an image."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Final

from troth.errors import TrothError

Answer = tuple[bool, str, str]
"""Whether it works here, what was found, and how to get it where it does not."""
_ALLOW: Final = (
    "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or "
    "kernel.apparmor_restrict_unprivileged_userns=0)"
)


def ways() -> Iterator[tuple[str, Answer]]:
    """The name of each ground, in the words of `troth run --on`, and what was found."""
    for name, probe in _PROBES.items():
        try:
            yield name, probe()
        except TrothError as error:
            yield name, (False, str(error), error.fix)


def _simulator() -> Answer:
    """Makes the namespaces that a run needs, twice over, and lets go of them."""
    if shutil.which("unshare") is None:
        return False, "cannot be tried", "install util-linux (unshare)"
    once = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--fork")
    try:
        done = subprocess.run(
            [*once, *once, "true"], capture_output=True, text=True, check=False, timeout=30
        )
        trouble = "" if done.returncode == 0 else done.stderr.strip()[:100] or "refused"
    except subprocess.TimeoutExpired:
        trouble = "the probe did not end within 30 s"
    return (
        not trouble,
        trouble or "user namespaces, nested",
        _ALLOW,
    )


def _microvm() -> Answer:
    from troth.runtime import kvm, qemu

    found = qemu.find()
    kvm_is_open = os.access(kvm.DEVICE, os.R_OK | os.W_OK)
    fast = "KVM is tried with each kernel" if kvm_is_open else "without KVM: some seconds a boot"
    return True, f"{found}; {fast}", ""


def _qemu_nitro() -> Answer:
    from troth.runtime import qemu_nitro_found

    return True, f"{qemu_nitro_found.find()}; its documents are unsigned", ""


def _nitro() -> Answer:
    from troth.runtime.nitro_cli import NitroCli
    from troth.runtime.nitro_host import Host

    host = Host()
    host.check()
    program = NitroCli.find()
    running = len(program.describe())
    memory, pool = host.free_memory(), host.pool()
    return (
        True,
        f"{program.program}, {memory or 0} MiB free, {pool or 0} CPUs set aside, {running} running",
        "",
    )


_PROBES: Final[dict[str, Callable[[], Answer]]] = {
    "simulator": _simulator,
    "microvm": _microvm,
    "qemu-nitro": _qemu_nitro,
    "nitro": _nitro,
}
