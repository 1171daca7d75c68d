"""The simulator's walls: namespaces around the unpacked image, made without privileges.

`Launcher` forks early, while its process has one thread. The fork makes the namespaces and waits for a
`Plan`; then its own child, process 1 of the new process namespace, builds the file system and becomes
the image's init. Whoever of the three is killed, the kernel kills those below.

These walls keep the host's files, network and processes out of the image's sight. They do not keep the
host out of the image: there is no isolation in a simulation.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NoReturn

from troth.errors import EXIT_BUG, TrothError, Unavailable
from troth.runtime import linux, refusal
from troth.runtime.devices import build_devices

HOSTNAME: Final = "enclave"
SHARED: Final = "/run/troth/host"
"""Where the image sees the folder that it shares with the host."""
INIT: Final = ("/usr/bin/python3.13", "-I", "-S", "/usr/lib/troth/boot.py")
"""What the interpreter line of the image's `/init` says; the kernel runs that in a real enclave."""
ENVIRONMENT: Final = {"HOME": "/", "TERM": "linux"}
"""What Linux gives to the first process."""

_NAMESPACES: Final = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
)
_QUIET: Final = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
_MESSAGE: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the launcher needs to know to start an image.

    Attributes:
        root: the unpacked image; it becomes the read-only root.
        nsm: the unix socket that stands for `/dev/nsm`.
        shared: the folder shared with the host.
        scratch: size of each writable file system in bytes.
        argv: what process 1 executes.
    """

    root: str
    nsm: str
    shared: str
    scratch: int
    argv: tuple[str, ...] = INIT


class Launcher:
    """A process that waits to become an enclave's outer shell. Make it before any thread.

    Args:
        console: descriptor that takes what the image writes to its standard output and error. Must
            be a pipe: a file would be a writable place on the host from which an image could execute.
    """

    def __init__(self, console: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _shell(theirs, console, parent)
        theirs.close()
        self._socket = ours

    def start(self, plan: Plan, *, timeout: float = 10) -> None:
        """Starts the image and returns when its init has been executed.

        Raises:
            Unavailable: this machine refuses what the sandbox is made of.
        """
        self._socket.settimeout(timeout)
        with contextlib.suppress(OSError):  # it may have ended already, and has left word why
            self._socket.send(json.dumps(asdict(plan)).encode())
        try:
            while message := self._socket.recv(_MESSAGE):
                trouble = json.loads(message)
                raise refusal.explain(trouble["step"], trouble["errno"], trouble["what"])
        except TimeoutError:
            raise Unavailable(f"the sandbox did not start within {timeout:g} s") from None
        finally:
            self._socket.close()

    def poll(self) -> int | None:
        """The exit code if it has ended: that of the image's init, 128 + n where a signal ended it."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return None if pid == 0 else _exit_code(status)

    def wait(self) -> int:
        """Waits for the end and gives the exit code."""
        return _exit_code(os.waitpid(self.pid, 0)[1])

    def terminate(self) -> None:
        """Asks the image's init to end."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Ends everything inside at once."""
        os.kill(self.pid, signal.SIGKILL)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


class _Failed(Exception):  # noqa: N818 - never leaves this file
    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(step)
        self.message = {
            "step": step,
            "errno": error.errno or 0,
            "what": f"{error.filename or ''}".strip(),
        }


def _shell(control: socket.socket, console: int, parent: int) -> NoReturn:
    """The launcher's process: never returns into the caller's code, whatever happens."""
    code = EXIT_BUG
    try:
        code = _run_shell(control, console, parent)
    except _Failed as failed:
        code = TrothError.exit_code
        control.send(json.dumps(failed.message).encode())
    except BaseException as error:  # noqa: BLE001 - two processes must not run the caller's clean-up
        os.write(console, f"troth sandbox: {error!r}\n".encode())
    finally:
        os._exit(code)


def _run_shell(control: socket.socket, console: int, parent: int) -> int:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(console, 1)
    os.dup2(console, 2)
    linux.close_from(3, keep=(control.fileno(),))
    user, group = os.geteuid(), os.getegid()
    try:
        linux.unshare(_NAMESPACES)
        linux.map_user(inside=0, user=user, group=group)
        linux.leave_session_keyring()
    except OSError as error:
        raise _Failed("namespaces", error) from None
    # Made after the namespaces, because new credentials clear it; then make sure it was in time.
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    message = control.recv(_MESSAGE)
    if not message:
        return 1
    raw = json.loads(message)
    plan = Plan(**{**raw, "argv": tuple(raw["argv"])})
    return _supervise(control, plan)


def _supervise(control: socket.socket, plan: Plan) -> int:
    """Starts process 1, passes SIGTERM on to it, and ends as it ends."""
    alive, held = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    child = os.fork()
    if child == 0:
        os.close(held)
        _first(control, plan, alive)
    os.close(alive)
    control.close()
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    status = os.waitpid(child, 0)[1]
    return _exit_code(status)


def _first(control: socket.socket, plan: Plan, alive: int) -> NoReturn:
    """Process 1 of the image."""
    try:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        # The other end of the pipe closes with the launcher: if it already has, the signal came too
        # early for us and we go by ourselves.
        if select.select([alive], [], [], 0)[0]:
            os._exit(1)
        os.umask(0o022)
        try:
            socket.sethostname(HOSTNAME)
            linux.loopback_up()
        except OSError as error:
            raise _Failed("network", error) from None
        try:
            build_root(plan)
        except OSError as error:
            raise _Failed("mounts", error) from None
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        try:
            os.execve(plan.argv[0], list(plan.argv), ENVIRONMENT)  # noqa: S606
        except OSError as error:
            raise _Failed("init", OSError(error.errno, "", plan.argv[0])) from None
    except _Failed as failed:
        control.send(json.dumps(failed.message).encode())
    except BaseException as error:  # noqa: BLE001 - as in _shell
        sys.stderr.write(f"troth sandbox: {error!r}\n")
        sys.stderr.flush()
    finally:
        os._exit(EXIT_BUG)


def build_root(plan: Plan) -> None:
    """Builds the image's file system out of its unpacked files and makes it the root."""
    root = plan.root
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.bind(root, root, linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV)
    linux.mount("proc", f"{root}/proc", "proc", _QUIET)
    scratch = f"size={plan.scratch},nr_inodes=16384"
    for name, mode in (("tmp", "1777"), ("run", "0755")):
        linux.mount("tmpfs", f"{root}/{name}", "tmpfs", _QUIET, f"mode={mode},{scratch}")
    Path(f"{root}{SHARED}").mkdir(parents=True)
    linux.bind(plan.shared, f"{root}{SHARED}", _QUIET)
    build_devices(f"{root}/dev", nsm=plan.nsm)
    linux.change_root(root)
