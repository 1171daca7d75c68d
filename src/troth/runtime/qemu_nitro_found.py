"""Which QEMU has the machine `nitro-enclave`: Debian's packages leave it out."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from troth.errors import Unavailable
from troth.image.files import cache_folder

VARIABLE: Final = "TROTH_QEMU_NITRO"
PROGRAM: Final = "qemu-system-x86_64"
MACHINE: Final = "nitro-enclave"
_FIX: Final = (
    "build one with scripts/build_qemu_nitro.sh of troth's source (about 10 minutes), "
    f"or name yours in {VARIABLE}"
)


def find() -> str:
    """Its path: what `TROTH_QEMU_NITRO` names, else one on PATH, else one that the script built.

    Raises:
        Unavailable: there is none, or the one that was named lacks the machine.
    """
    if named := os.environ.get(VARIABLE):
        if trouble := lacks(named):
            raise Unavailable(f"{VARIABLE} names {named}, and {trouble}", fix=_FIX)
        return named
    built = cache_folder() / "qemu-nitro" / "bin" / PROGRAM
    on_path = shutil.which(PROGRAM)
    for candidate in (on_path, str(built)):
        if candidate and Path(candidate).exists() and not lacks(candidate):
            return candidate
    what = f"{on_path} has no machine {MACHINE}" if on_path else f"there is no {PROGRAM}"
    raise Unavailable(f"{what}, and none was built in {built.parent.parent}", fix=_FIX)


def lacks(program: str) -> str:
    """Why this program can't boot an image as it is; empty if it can."""
    try:
        asked = subprocess.run(
            [program, "-M", "help"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except OSError as error:
        return f"it cannot be executed: {error.strerror}"
    except subprocess.TimeoutExpired:
        return "it does not answer within 20 s"
    machines = [line.split()[:1] for line in asked.stdout.decode("utf-8", "replace").splitlines()]
    return "" if [MACHINE] in machines else f"it has no machine {MACHINE}"
