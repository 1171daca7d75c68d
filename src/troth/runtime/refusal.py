"""Why a machine refuses the sandbox, in words that say what to change."""

import errno
import os
from pathlib import Path
from typing import Final

from troth.errors import Unavailable

_CONTAINER: Final = (
    "run troth outside the container, or start the container with "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined"
)


def explain(step: str, code: int, what: str) -> Unavailable:
    """The error for a step of the sandbox that the kernel refused.

    Args:
        step: `namespaces`, `network`, `mounts` or `init`.
        code: the kernel's errno.
        what: the call or file, as far as it is known.
    """
    reason = os.strerror(code)
    if step == "namespaces" or (step in {"mounts", "network"} and code in _DENIED):
        return Unavailable(
            f"this machine refuses user namespaces: {what}: {reason}".replace(": :", ":"),
            fix=_fix(code),
        )
    if step == "init":
        return Unavailable(
            f"the image's init {what} cannot be executed: {reason}",
            fix="build the image with troth build, and keep troth's data folder (XDG_DATA_HOME) "
            "on a file system that is not mounted noexec",
        )
    return Unavailable(f"the sandbox's {step} could not be made: {what}: {reason}")


_DENIED: Final = {errno.EPERM, errno.EACCES}


def _fix(code: int) -> str:
    if _setting("user/max_user_namespaces") == "0" or code == errno.ENOSPC:
        return "raise the limit as root: sysctl -w user.max_user_namespaces=10000"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "allow them as root: sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "allow them as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, "
            "or give this Python an AppArmor profile with userns"
        )
    return _CONTAINER


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
