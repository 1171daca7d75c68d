"""The app's walls: its own user, mount, process and IPC namespaces, without any privilege.

The jail is forked off before the agent has a key or a thread, and waits for the word to start. In it
the app sees the read-only image, a private /tmp, a /dev without the security module (unless the image
says that it has it), and the agent's socket. Nothing writable can be executed, and no further user
namespace can be made to undo that.

Where a file system was brought for the app, that folder of the image becomes its root, and nothing of
the agent's is left to be seen.
"""

import contextlib
import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from troth.agent import filter as system_calls
from troth.agent.config import AppConfig
from troth.errors import EXIT_BUG
from troth.platforms.nitro.collect import DEVICE
from troth.runtime import linux
from troth.runtime.devices import build_devices

SOCKET: Final = "/run/troth/agent.sock"
USER: Final = 1000
# No home that can be written to: interpreters load code from below it (Python's user site, its .pth).
ENVIRONMENT: Final = {"HOME": "/", "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
SCRATCH: Final = 64 * 1024 * 1024
_RUN: Final = 64 * 1024
_WALKED: Final = 1024  # folders
_MIB: Final = 1 << 20
_SHARE: Final = 4
_QUIET: Final = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
# Where the kernel offers switches: read-only, or hidden behind /dev/null.
_PROC_READ_ONLY: Final = ("bus", "fs", "irq", "sys")
_PROC_HIDDEN: Final = ("kcore", "keys", "sysrq-trigger", "timer_list")
_NAMESPACES: Final = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
)


class Jail:
    """A process that waits to become the app. Make it before any thread or secret exists.

    Args:
        config: says what to start.
    """

    def __init__(self, config: AppConfig) -> None:
        waiting, self._go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            _guarded(lambda: _enter(config, waiting))
        os.close(waiting)

    def start(self) -> None:
        """Lets the app begin; the agent's socket must be there."""
        os.write(self._go, b"g")
        os.close(self._go)

    def stop(self) -> None:
        """Asks the app to end; no harm if it has."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


def _guarded(step: Callable[[], int]) -> NoReturn:
    """Runs the last thing that this process does: whatever happens, the agent's code never goes on."""
    code = EXIT_BUG
    try:
        code = step()
    except OSError as error:
        what = error.filename or ""
        print(f"agent: the app's walls could not be built: {error.strerror} {what}", flush=True)
    except BaseException as error:  # noqa: BLE001 - nothing may escape into the agent's own code
        print(f"agent: the app could not be started: {error!r}", flush=True)
    finally:
        sys.stdout.flush()
        os._exit(code)


def _enter(config: AppConfig, waiting: int) -> int:
    """Outside the app's process namespace: makes it, and ends as it ends."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.read(waiting, 1) != b"g":
        return 1
    os.close(waiting)
    user, group = os.geteuid(), os.getegid()
    linux.unshare(_NAMESPACES)
    linux.map_user(inside=USER, user=user, group=group)
    child = os.fork()
    if child == 0:
        _guarded(lambda: _first(config))
    _pass_on(child)
    return _exit_code(os.waitpid(child, 0)[1])


def _first(config: AppConfig) -> int:
    """Process 1 of the app's namespace: builds the walls, starts the app, reaps, ends with it."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    _build(config)
    child = os.fork()
    if child == 0:
        _guarded(lambda: _become(config))
    linux.drop_capabilities()
    _pass_on(child, config.stop_signal)
    while True:
        pid, status = os.wait()
        if pid == child:
            return _exit_code(status)


def _build(config: AppConfig) -> None:
    """Mounts what the app may have over a folder of the image, and makes that folder its root."""
    root = config.root
    nsm = DEVICE if config.raw_nsm else None
    agent_socket = os.open(SOCKET, os.O_PATH | os.O_CLOEXEC)  # before a mount hides it
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    if not os.statvfs("/").f_flag & os.ST_RDONLY:
        raise OSError(0, "the root is writable", "/")
    if root == "/":
        _mount("", agent_socket, nsm)
        _own_scratch("", config)
        read_only = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY
        linux.mount("none", "/run", None, read_only | _QUIET)
    else:
        linux.bind(root, root, linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV)
        _mount(root, agent_socket, nsm)
        _own_scratch(root, config)
        linux.change_root(root)
    linux.sysctl("user/max_user_namespaces", 0)
    for name in _PROC_HIDDEN:
        if Path("/proc", name).exists():
            linux.bind("/dev/null", f"/proc/{name}")
    for name in _PROC_READ_ONLY:
        if Path("/proc", name).exists():
            linux.bind(f"/proc/{name}", f"/proc/{name}", linux.MS_RDONLY | _QUIET)


def _mount(root: str, agent_socket: int, nsm: str | None) -> None:
    """What is mounted below a root: an empty text for the image's own."""
    # Before the old root goes: a process may mount only such a /proc as it already sees one.
    linux.mount("proc", f"{root}/proc", "proc", _QUIET)
    _scratch(f"{root}/tmp", "1777", SCRATCH, keep=bool(root))  # noqa: S108
    _scratch(f"{root}/run", "0755", SCRATCH if root else _RUN, keep=bool(root))
    socket = Path(f"{root}{SOCKET}")
    socket.parent.mkdir(exist_ok=True)
    socket.touch()
    linux.mount(f"/proc/self/fd/{agent_socket}", str(socket), None, linux.MS_BIND)
    os.close(agent_socket)
    build_devices(f"{root}/dev", nsm=nsm)


def _scratch(folder: str, mode: str, size: int, *, keep: bool) -> None:
    """An empty place in memory; `keep` makes again the folders that it hides."""
    folders = _folders(folder) if keep else []
    options = f"mode={mode},size={size},nr_inodes=16384"
    linux.mount("tmpfs", folder, "tmpfs", _QUIET, options)
    for name in folders:
        Path(name).mkdir()


def _own_scratch(root: str, config: AppConfig) -> None:
    """The app's own folders to write to; together they may take a quarter of the memory."""
    for path in config.scratch:
        folder = f"{root}{path}"
        if os.path.realpath(folder) != folder:
            raise OSError(errno.ELOOP, "a link on the way to", folder)
        size = config.memory * _MIB // _SHARE // len(config.scratch)
        _scratch(folder, "0700", size, keep=True)


def _folders(top: str) -> list[str]:
    """Folders of the image below what is about to be mounted over: programs look for theirs there."""
    found: list[str] = []
    for place, names, _ in os.walk(top):
        found += [f"{place}/{name}" for name in sorted(names)]
        if len(found) > _WALKED:
            raise OSError(0, f"more than {_WALKED} folders", top)
    return found


def _become(config: AppConfig) -> int:
    """The app itself: no privilege, no descriptor and no variable but what is meant for it."""
    os.setsid()
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    linux.close_from(3)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    linux.drop_capabilities()
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    system_calls.install()
    try:
        os.chdir(config.directory)
        os.execve(config.entry[0], list(config.entry), {**ENVIRONMENT, **config.environment})  # noqa: S606
    except OSError as error:
        print(f"agent: cannot start {config.entry[0]}: {error.strerror}", flush=True)
    return 127


def _pass_on(child: int, number: int = signal.SIGTERM) -> None:
    """A wish to end goes to the process below, as the signal that it expects."""
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, number))


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
