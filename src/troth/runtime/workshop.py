"""Walls around a compiler: a root of locked tools, and nothing of the host's but the processor.

Run as a program of its own, which reads a job on its standard input: the namespaces are made in a
process with one thread, that may be killed at any time, and takes all that it started with it.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from troth.image.hardware.plan import Job
from troth.runtime import linux, refusal
from troth.runtime.devices import build_devices

_SOURCE: Final = str(Path(__file__).parents[2])
_NAMESPACES: Final = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
)
_QUIET: Final = linux.MS_NOSUID | linux.MS_NODEV
_MARK: Final = "troth-refused "
_REFUSED: Final = 111
_LONGEST: Final = 1 << 16  # bytes of a line that a program prints


def run(job: Job, *, line: Callable[[str], object]) -> int:
    """Runs a job in namespaces of its own and gives its exit code; see `plan.Sandbox`.

    Raises:
        Unavailable: this machine refuses what the walls are made of.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        env={"PYTHONPATH": _SOURCE, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    refused: dict[str, Any] = {}
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - for types
    try:
        with contextlib.suppress(BrokenPipeError):  # it has ended already, and says why
            process.stdin.write(json.dumps(_plain(job)).encode())
            process.stdin.close()
        while raw := process.stdout.readline(_LONGEST):
            text = raw.decode("utf-8", "replace").rstrip("\n")
            if text.startswith(_MARK):
                refused = json.loads(text.removeprefix(_MARK))
            else:
                line(text)
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        # Whatever ran inside holds the other end: when it is closed, nobody writes to a folder any more.
        while process.stdout.read(_LONGEST):
            pass
    if refused and code == _REFUSED:
        raise refusal.explain(refused["step"], refused["errno"], refused["what"])
    return code if code >= 0 else 128 - code


def _plain(job: Job) -> dict[str, Any]:
    return {
        "root": str(job.root),
        "binds": [[str(b.source), b.target, b.writable] for b in job.binds],
        "argv": list(job.argv),
        "variables": dict(job.variables),
        "hostname": job.hostname,
        "umask": job.umask,
        "parent": os.getpid(),
    }


def main() -> int:
    """Reads a job, makes the namespaces, and stays outside until the job has ended."""
    job = json.load(sys.stdin)
    user, group = os.geteuid(), os.getegid()
    try:
        linux.unshare(_NAMESPACES)
        linux.map_user(inside=0, user=user, group=group)
        linux.leave_session_keyring()
    except OSError as error:
        return _refuse("namespaces", error)
    # After the namespaces, because new credentials clear it.
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != job["parent"]:
        return _REFUSED
    alive, _held = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(_held)
        _first(job, alive)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _refuse(step: str, error: OSError) -> int:
    what = {"step": step, "errno": error.errno or 0, "what": str(error.filename or "")}
    print(_MARK + json.dumps(what), flush=True)  # noqa: T201 - read by `run`
    return _REFUSED


def _first(job: dict[str, Any], alive: int) -> NoReturn:
    """Process 1 inside: builds the file system and becomes the program."""
    code = _REFUSED
    try:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        if select.select([alive], [], [], 0)[0]:  # closed: the signal would have come too early
            os._exit(code)
        os.umask(0o022)
        socket.sethostname(job["hostname"])
        _root(job)
        os.umask(job["umask"])
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        linux.close_from(3)
        os.execve(job["argv"][0], job["argv"], job["variables"])  # noqa: S606
    except OSError as error:
        code = _refuse("mounts", error)
    finally:
        os._exit(code)


def _root(job: dict[str, Any]) -> None:
    root = job["root"]
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    for source, target, _ in job["binds"]:
        place = Path(root + target)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(exist_ok=True) if Path(source).is_dir() else place.touch()
    linux.bind(root, root, linux.MS_RDONLY | _QUIET)
    linux.mount("proc", f"{root}/proc", "proc", _QUIET | linux.MS_NOEXEC)
    linux.mount("tmpfs", f"{root}/tmp", "tmpfs", _QUIET, "mode=1777,size=512m")  # noqa: S108
    build_devices(f"{root}/dev", nsm=None)
    for source, target, writable in job["binds"]:
        linux.bind(source, root + target, _QUIET | (0 if writable else linux.MS_RDONLY))
    linux.change_root(root)


if __name__ == "__main__":
    sys.exit(main())
