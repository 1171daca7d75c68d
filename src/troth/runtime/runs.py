"""Starts images, and looks after those that were started.

    with start(Path("app.eif"), pki=development.nitro()) as run:
        print(run.published[0].address)

Nothing here but real hardware isolates an image from the host: the rest is for development and tests,
and its evidence counts only under the user's own development root. See `troth.runtime.grounds`.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.runtime import grounds, state
from troth.runtime.state import Published, RunState
from troth.runtime.supervisor import Request
from troth.runtime.unpack import remove
from troth.wire import json

if TYPE_CHECKING:
    from troth.platforms.nitro.simulate_pki import DevelopmentPki

_MAX_FREE: Final = 1024 * 1024
_END_SECONDS: Final = 15.0
"""More than any ground's grace, and what taking away takes."""


class Run:
    """A started image. Ends with the process that started it, unless it was detached.

    Attributes:
        state: what its supervisor said when it was ready.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._lines = control.makefile("rb")
        self._code: int | None = None
        self.state = RunState.from_dict(self._next("ready"))

    @property
    def id(self) -> str:
        """Its name."""
        return self.state.id

    @property
    def says(self) -> str:
        """What the place where it runs is and is not."""
        return grounds.kind(self.state.on).says

    @property
    def raw_nsm(self) -> bool:
        """Whether its app has the security module itself, so that its ports are no attested channel."""
        return self.state.raw_nsm

    @property
    def published(self) -> tuple[Published, ...]:
        """Its ports on the host."""
        return self.state.published

    @property
    def pcrs(self) -> Mapping[str, str]:
        """The registers in its evidence, as policies write them."""
        image = {f"pcr{index}": value for index, value in enumerate(self.state.pcrs)}
        return image if self.state.pcr8 is None else image | {"pcr8": self.state.pcr8}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.state.detached:
            self.stop()

    def console(self) -> bytes:
        """What the image and its agent have printed so far."""
        try:
            return (self.state.folder / state.CONSOLE).read_bytes()
        except OSError:
            return b""

    def wait(self) -> int:
        """Waits until the image ends, and gives its exit code.

        Raises:
            Unavailable: its supervisor was killed.
        """
        if self._code is None:
            self._code = int(self._next("ended"))
            self._process.wait()
        return self._code

    def stop(self) -> None:
        """Ends it and removes everything of it. May be called twice."""
        # First the connection, so that a thread which waits for a line lets go of the reader.
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._lines.close()
        self._control.close()
        if self.state.detached:
            stop(self.id)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _remove_dead(self.state)

    def _next(self, wanted: str) -> Any:
        line = self._lines.readline()
        if not line:
            self._process.wait()
            raise Unavailable(
                f"the run's supervisor ended with {self._process.returncode} and left no word",
                fix="remove what it left with troth clean",
            )
        message = json.parse(line, field="supervisor")
        if "error" in message:
            self._process.wait()
            raise _as_error(message["error"])
        return message[wanted]


def start(
    image: Path,
    *,
    pki: "DevelopmentPki | None",
    on: str = grounds.SIMULATOR,
    publish: Mapping[int, int] | None = None,
    free: Mapping[str, bytes] | None = None,
    debug: bool = False,
    detach: bool = False,
    timeout: float | None = None,
) -> Run:
    """Starts an image and returns when it is ready.

    Args:
        image: the image file.
        pki: whose root its evidence chains to; see `troth.runtime.development`. None where the
            hardware signs.
        on: where it runs, one of `troth.runtime.grounds.KINDS`.
        publish: image ports and the ports on 127.0.0.1 for them, 0 for any; None publishes each
            port that the image listens on at any port.
        free: data for the names that the image declares as free, 1 MiB each at most.
        debug: run it as an enclave in debug mode: registers 0 to 2 are zero in its evidence, which
            every verifier refuses.
        detach: whether it outlives this process; then `stop(run.id)` ends it.
        timeout: seconds until it must be ready; None leaves that to the ground.

    Raises:
        Malformed: the image is damaged.
        Misuse: a port or name that the image does not declare; no such ground, or no PKI for it.
        Unavailable: a port is taken, this machine lacks what the ground takes, no room, or the app did
            not get ready.
    """
    if grounds.kind(on).development and pki is None:
        raise Misuse(f"evidence on {on} is signed under a development root, and none was given")
    for name, value in (free or {}).items():
        if len(value) > _MAX_FREE:
            raise Misuse(f"free data {name!r} has {len(value)} bytes; {_MAX_FREE} are the limit")
    sweep()
    request = Request(
        image=str(image.absolute()),
        pki="" if pki is None else pki.to_pem_bundle(),
        publish=None if publish is None else tuple(publish.items()),
        free=dict(free or {}),
        debug=debug,
        timeout=timeout,
        detach=detach,
    )
    ours, theirs = socket.socketpair()
    # -P: what happens to lie in the working directory is no part of troth.
    process: subprocess.Popen[bytes] | None = None
    argv = [sys.executable, "-P", "-m", "troth.runtime.supervisor", str(theirs.fileno()), on]
    try:
        with theirs:
            process = subprocess.Popen(
                argv,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Who waits for the end of our output must not wait for a run that outlives us.
                stderr=subprocess.DEVNULL if detach else None,
                start_new_session=True,
            )
        with contextlib.suppress(BrokenPipeError):
            ours.sendall(request.encode())
        return Run(process, ours)
    except BaseException:
        # The supervisor sees its owner go and takes everything away; wait, so that nothing is left.
        ours.close()
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
        raise


def _as_error(plain: dict[str, Any]) -> TrothError:
    message, fix = plain["message"], plain["fix"]
    match plain["kind"]:
        case "Malformed":
            where = plain["field"]
            offset = plain["offset"]
            prefix = f"{where}: " if offset is None else f"{where} at byte {offset}: "
            return Malformed(message.removeprefix(prefix), field=where, offset=offset, fix=fix)
        case "Misuse":
            return Misuse(message, fix=fix)
        case _:
            return Unavailable(message, fix=fix)


def stop(name: str) -> None:
    """Ends a run, whoever started it, and removes everything of it.

    Raises:
        Misuse: there is no such run.
        Unavailable: it does not end.
    """
    run = state.read(name)
    if run.supervisor.signal(SIGTERM):
        until = time.monotonic() + _END_SECONDS
        while run.supervisor.alive():
            if time.monotonic() > until:
                run.supervisor.signal(SIGKILL)
                break
            time.sleep(0.01)
    _remove_dead(run)


def _remove_dead(run: RunState) -> None:
    until = time.monotonic() + 2
    while run.supervisor.alive() and time.monotonic() < until:
        time.sleep(0.01)
    if run.supervisor.alive():
        raise Unavailable(f"run {run.id} does not end", fix=f"kill process {run.supervisor.pid}")
    remove(run.folder)


def clean() -> tuple[str, ...]:
    """Removes what runs that have ended, or whose supervisor was killed, have left.

    Returns:
        The names of the runs that are gone.
    """
    gone = []
    for run in state.everything():
        if run.seen in (state.ENDED, state.LOST):
            remove(run.folder)
            gone.append(run.id)
    _sweep_unborn()
    return tuple(gone)


def sweep() -> None:
    """Removes the files of runs whose supervisor was killed; their state and console stay for `clean`."""
    for run in state.everything():
        if run.seen == state.LOST:
            with contextlib.suppress(OSError):
                state.keep_words_only(run.folder)
    _sweep_unborn()


def _sweep_unborn() -> None:
    """Folders whose supervisor was killed before they had their name, a minute ago or earlier."""
    for folder in state.root().glob(".new-*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < time.time() - 60:
                shutil.rmtree(folder)
