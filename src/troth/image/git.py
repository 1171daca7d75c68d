"""git, started with nothing of the user's or the machine's configuration, and within bounds of time and memory."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from troth.errors import Malformed, Unavailable
from troth.image.files import disk

PROTOCOLS: Final = ("https", "ssh", "file", "git")
"""By which it may reach another repository."""

_SECONDS: Final = 600
_MOST_LISTED: Final = 64 << 20
_MOST_SAID: Final = 64 << 10
_BLOCKS: Final = (4 << 30) // 512  # of a file that git may write
# KiB that it may have: an object of megabytes may say that it is of gigabytes.
_MEMORY: Final = (8 << 30) // 1024
_KEPT: Final = re.compile(
    r"PATH|HOME|SSH_AUTH_SOCK|(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)", re.IGNORECASE
)
# What of a repository's own configuration could start a program, or ask somebody.
_SETTINGS: Final = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.excludesFile=/dev/null",
    "core.attributesFile=/dev/null", "credential.helper=", "gc.auto=0", "maintenance.auto=false",
    "http.lowSpeedLimit=1000", "http.lowSpeedTime=30",
)  # fmt: skip


def git(*arguments: str, folder: Path, reach: bool = False, given: bytes = b"") -> bytes:
    """What git prints, started with nothing of the user's or the machine's configuration.

    Args:
        arguments: the command's.
        folder: it works in.
        reach: whether it may go to another repository.
        given: on its standard input.

    Raises:
        Unavailable: there is no git, or it fails; its last line is given.
        Malformed: it prints more than any list of files has.
    """
    with disk("asking git"), TemporaryFile() as asked, TemporaryFile() as errors:
        asked.write(given)
        asked.seek(0)
        try:
            process = subprocess.Popen(
                command(*arguments),
                cwd=folder,
                env=environment(reach=reach),
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Unavailable(
                "there is no git here", fix="install git, or name a local folder"
            ) from None
        said, late = _bounded(process)
        errors.seek(0)
        complaint = errors.read(_MOST_SAID)
    if late:
        raise Unavailable(f"git took longer than {_SECONDS} s", fix="try again later")
    if len(said) > _MOST_LISTED:
        raise Malformed(f"prints more than {_MOST_LISTED >> 20} MiB", field=f"git {arguments[0]}")
    if process.returncode:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        raise Unavailable(
            f"git {arguments[0]}: {lines[-1][:300] if lines else f'ended with {process.returncode}'}",
            fix="check address, tag and commit; or clone it yourself and name that folder",
        )
    return said


def _bounded(process: "subprocess.Popen[bytes]") -> tuple[bytes, bool]:
    """What it prints, but no more than is refused; and whether it was too late. Ended either way."""
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    late = threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(ProcessLookupError):
            # Also where it has ended itself, and what it started holds the pipe.
            os.killpg(process.pid, signal.SIGKILL)

    ends = threading.Timer(_SECONDS, end)
    ends.start()
    try:
        with process.stdout as stream:
            said = stream.read(_MOST_LISTED + 1)
        if len(said) > _MOST_LISTED:
            _kill(process)
        process.wait()
    finally:
        ends.cancel()
        _kill(process)
        process.wait()
    return said, late.is_set()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """With all that it started, such as ssh."""
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def command(*arguments: str) -> list[str]:
    """How git is started, within bounds."""
    # Where less than that is allowed already, it stays so.
    limits = f"ulimit -v {_MEMORY} 2>/dev/null; ulimit -f {_BLOCKS}"
    limited = ("sh", "-c", f'{limits} && exec "$@"', "sh")
    settings = (word for one in _SETTINGS for word in ("-c", one))
    return [*limited, "git", *settings, *arguments]


def environment(*, reach: bool) -> dict[str, str]:
    """What it may know of the user and the machine.

    Args:
        reach: whether it may go to another repository.
    """
    return {
        **{name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)},
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS) if reach else "none",
    }
