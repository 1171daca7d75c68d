"""Whether this machine's KVM boots a kernel: tried, since that it can be opened says nothing.

Some hosts offer `/dev/kvm` and cannot run a stock kernel in it. So the image's own kernel is booted
without a file system, confined as any other, up to the panic in which that must end. What came of it is
remembered for this kernel, QEMU and host; for a day, where it did not.
"""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from troth.errors import Malformed, TrothError
from troth.image.files import cache_folder, write_together
from troth.runtime import qemu
from troth.wire import json

DEVICE: Final = "/dev/kvm"
SECONDS: Final = 10
DAY: Final = 24 * 60 * 60
"""Seconds for which it counts that it did not work: a host that was busy then may be idle now."""
_NEEDLE: Final = b"Kernel panic"
_MOST: Final = 1 << 20
_SCHEMA: Final = "troth/kvm/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a probe.

    Attributes:
        works: whether the kernel booted.
        reason: what was seen.
    """

    works: bool
    reason: str


def probe(program: str, machine: str, kernel: bytes | memoryview, *, device: str = DEVICE) -> Tried:
    """Tries it, or remembers.

    Args:
        program: QEMU's path.
        machine: `-machine`, as for the image.
        kernel: the image's.
        device: where KVM is.
    """
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return Tried(works=False, reason=f"{device}: {error.strerror}")
    release = os.uname().release
    digest = sha256(kernel).hexdigest()
    key = sha256(f"{release}\0{program}\0{_age(program)}\0{machine}\0{digest}".encode()).hexdigest()
    place = cache_folder() / "kvm" / f"{key}.json"
    if (known := _remembered(place)) is not None:
        return known
    tried = _try(program, machine, kernel)
    document = {"schema": _SCHEMA, "works": tried.works, "reason": tried.reason}
    with contextlib.suppress(TrothError):  # then it is tried again next time
        write_together(place.parent, {place.name: [json.canonical(document)]})
    return tried


def _age(program: str) -> int:
    try:
        return Path(program).stat().st_mtime_ns
    except OSError:
        return 0


def _remembered(place: Path) -> Tried | None:
    try:
        document = json.parse(place.read_bytes(), field=place.name)
        age = time.time() - place.stat().st_mtime
    except (OSError, Malformed):
        return None
    match document:
        case {"schema": str(schema), "works": bool(works), "reason": str(reason)} if (
            schema == _SCHEMA and (works or 0 <= age < DAY)
        ):
            return Tried(works=works, reason=reason)
        case _:
            return None


def _try(program: str, machine: str, kernel: bytes | memoryview) -> Tried:
    with tempfile.TemporaryDirectory(prefix="troth-kvm-") as folder:
        path = Path(folder, "kernel")
        path.write_bytes(kernel)
        argv = [
            program,
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-machine", machine, "-accel", "kvm", "-cpu", "host", "-m", "128M"),
            *("-kernel", str(path), "-append", "console=ttyS0 panic=-1 reboot=t"),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
            *("-sandbox", qemu.CONFINED),
        ]
        return watch(qemu.tethered(argv))


def watch(argv: Sequence[str], *, seconds: float = SECONDS) -> Tried:
    """Runs a boot that must end in the kernel's own panic, for want of a file system."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=seconds,
        )
    except OSError as error:
        return Tried(works=False, reason=f"the probe cannot be started: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Tried(works=False, reason=f"a kernel under KVM made no end within {seconds:g} s")
    if _NEEDLE in done.stdout[-_MOST:]:
        return Tried(works=True, reason="a probe boot passed")
    said = done.stdout[-300:].decode("utf-8", "replace").split("\n")
    words = next((line.strip() for line in reversed(said) if line.strip()), "nothing")
    return Tried(works=False, reason=f"a kernel under KVM did not boot; QEMU's last word: {words}")
