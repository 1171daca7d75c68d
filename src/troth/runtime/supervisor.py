"""The process that owns a run: `python -m troth.runtime.supervisor FD GROUND`.

It reads the image, has the ground start it, publishes the ports, and takes all of it away at the end. It
ends when the image ends, when it is told to (SIGTERM), or when the process that started it closes the
other end of FD without having said `detach`. If it is killed, the kernel ends what the ground started
with it; only files stay, which the next run or `troth clean` removes.

FD is a stream socket. Its owner sends one line of JSON, a `Request`; answers are lines of JSON too:
`{"ready": state}`, `{"error": …}`, `{"ended": code}`. GROUND is the name of one in
`troth.runtime.grounds`.
"""

import os
import secrets
import select
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.runtime import folders, grounds, state
from troth.runtime.console import Console
from troth.runtime.forward import Forwarder
from troth.runtime.grounds import Ground, Job
from troth.runtime.load import Loaded, load
from troth.runtime.unpack import remove
from troth.wire import json

_POLL: Final = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to run.

    Attributes:
        image: absolute path of the image file.
        pki: the development PKI as a PEM bundle; empty where the hardware signs.
        publish: image ports and the host ports for them (0: any); None publishes each at any port.
        free: data for the names that the image declares as free.
        debug: whether registers 0 to 2 are zero, as in an enclave that runs in debug mode.
        timeout: seconds until it must be ready; None leaves that to the ground.
        detach: whether the run outlives its owner.
    """

    image: str
    pki: str
    publish: tuple[tuple[int, int], ...] | None
    free: dict[str, bytes]
    debug: bool
    timeout: float | None
    detach: bool

    def encode(self) -> bytes:
        """One line."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["free"] = {name: value.hex() for name, value in self.free.items()}
        plain["timeout"] = None if self.timeout is None else int(self.timeout * 1000)
        return json.canonical(plain) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Request":
        """What `encode` wrote; both ends are ours."""
        raw = json.parse(line, field="request")
        return cls(
            **raw
            | {
                "publish": raw["publish"] and tuple((a, b) for a, b in raw["publish"]),
                "free": {name: bytes.fromhex(value) for name, value in raw["free"].items()},
                "timeout": None if raw["timeout"] is None else raw["timeout"] / 1000,
            }
        )


class _Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The owner is gone or said stop."""


@dataclass(slots=True)
class Supervisor:
    """One run from its request to its end."""

    control: socket.socket
    request: Request
    console: Console
    on: str
    ground: Ground
    folder: Path | None = None
    forwarders: list[Forwarder] = field(default_factory=list)
    _on_its_own: bool = False
    _wake: tuple[int, int] = field(default_factory=os.pipe)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> int:
        """Runs to the end and gives the exit code of the image."""
        signal.signal(signal.SIGTERM, lambda *_: self._ask_to_stop())
        threading.Thread(target=self._watch_owner, daemon=True).start()
        record: state.RunState | None = None
        code = 0
        try:
            record = self._start()
            self._on_its_own = self.request.detach
            self._tell({"ready": record.to_dict()})
            code = self._until_end()
        except _Stopped:
            pass
        finally:
            self._take_away(record, code)
        return code

    def _start(self) -> state.RunState:
        loaded = load(Path(self.request.image))
        self._publish(loaded)
        self._check_free(loaded)
        record = self._enter_folder(loaded)
        folder = self.folder = record.folder
        os.chdir(folder)
        self.console.start(folder / state.CONSOLE)
        self.ground.launch(
            Job(
                image=Path(self.request.image),
                loaded=loaded,
                folder=folder,
                free=self.request.free,
                pki=self.request.pki,
                debug=self.request.debug,
                unless_stopped=self._unless_stopped,
            )
        )
        self._until_ready()
        for forwarder in self.forwarders:
            forwarder.serve(partial(self.ground.connect, forwarder.published.port))
        record = replace(record, status=state.RUNNING)
        record.write(folder)
        return record

    def _publish(self, loaded: Loaded) -> None:
        wanted = self.request.publish
        if wanted is None:
            wanted = tuple((port, 0) for port in loaded.ports)
        for port, host_port in wanted:
            if port not in loaded.ports:
                listed = ", ".join(map(str, loaded.ports)) or "none"
                raise Misuse(
                    f"{loaded.name} does not listen on port {port}; its ports: {listed}",
                    fix="publish a port that the image's recipe lists under listen",
                )
            self.forwarders.append(Forwarder(port, host_port))

    def _check_free(self, loaded: Loaded) -> None:
        if extra := sorted(set(self.request.free) - loaded.free):
            raise Misuse(
                f"{loaded.name} declares no free data {extra[0]!r}",
                fix="declare it as free in the recipe, and build the image again",
            )

    def _enter_folder(self, loaded: Loaded) -> state.RunState:
        """Makes the run's folder with its state in it, in one step."""
        pcrs = tuple("00" * 48 if self.request.debug else value.hex() for value in loaded.pcrs)
        record = state.RunState(
            id=f"{loaded.name}-{secrets.token_hex(3)}",
            image=self.request.image,
            on=self.on,
            started=datetime.now(UTC).isoformat(timespec="milliseconds"),
            debug=self.request.debug,
            raw_nsm=loaded.raw_nsm,
            detached=self.request.detach,
            pcrs=pcrs,
            pcr8=None if self.request.debug or loaded.pcr8 is None else loaded.pcr8.hex(),
            published=tuple(forwarder.published for forwarder in self.forwarders),
            status=state.STARTING,
            exit_code=None,
            supervisor=state.Process.this(),
        )
        place = folders.private(state.root())
        with folders.explained(f"a folder for the run cannot be made in {place}"):
            fresh = place / f".new-{record.id}"
            fresh.mkdir(mode=0o700)
            self.folder = fresh
            record.write(fresh)
            fresh.rename(record.folder)
        return record

    def _unless_stopped(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _until_ready(self) -> None:
        seconds = self.request.timeout
        if seconds is None:
            seconds = self.ground.ready_seconds
        until = time.monotonic() + seconds
        while True:
            # First: a ground that has ended may say in `ready` why it did.
            code = self.ground.poll()
            if self.ground.ready():
                return
            self._unless_stopped()
            if code is not None:
                raise Unavailable(
                    f"the image ended with code {code} before it was ready{self._last_words()}",
                    fix="read what it printed, mend the app, and build the image again",
                )
            if time.monotonic() > until:
                raise Unavailable(
                    f"the app was not ready within {seconds:g} s: it must listen on the ports that "
                    f"its recipe names{self._last_words()}",
                    fix="mend the app, or give it more time",
                )
            time.sleep(_POLL)

    def _last_words(self) -> str:
        """The end of the console, for an error."""
        self.console.finish(0.2)
        try:
            text = Path(state.CONSOLE).read_bytes()[-2000:].decode("utf-8", "replace")
        except OSError:
            text = ""
        # One line: an error quotes what is hostile with its line ends spelled out.
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"; it printed: {' · '.join(lines[-8:])}" if lines else ", and it printed nothing"

    def _until_end(self) -> int:
        """Waits for the image's end.

        Raises:
            _Stopped: somebody asked to stop first.
        """
        ready, _, _ = select.select([self.ground.fileno(), self._wake[0]], [], [])
        if self.ground.fileno() in ready:
            return self.ground.wait()
        raise _Stopped

    def _watch_owner(self) -> None:
        """Until it is detached, the owner's end closing means that the run is over."""
        try:
            while self.control.recv(1):
                pass
        except OSError:
            pass
        if not self._on_its_own:
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        self._stop.set()
        os.write(self._wake[1], b".")

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.control.sendall(json.canonical(message) + b"\n")
        except OSError:
            if not self._on_its_own:
                self._ask_to_stop()

    def _take_away(self, record: state.RunState | None, code: int) -> None:
        """Ends what runs and removes what is on disk; a detached run's state and console stay."""
        try:
            for forwarder in self.forwarders:
                forwarder.close()
            self._end_ground()
        finally:  # a bug there must leave nothing behind
            self._take_folder_away(record, code)

    def _take_folder_away(self, record: state.RunState | None, code: int) -> None:
        if self.folder is None:
            return
        os.chdir("/")
        self.console.finish(1)
        if record is not None and self.request.detach and not self._stop.is_set():
            state.keep_words_only(self.folder)
            replace(record, status=state.ENDED, exit_code=code).write(self.folder)
        else:
            remove(self.folder)

    def _end_ground(self) -> None:
        if self.ground.poll() is None:
            self.ground.terminate()
            select.select([self.ground.fileno()], [], [], self.ground.grace)
            self.ground.kill()
            self.ground.wait()
        self.ground.close()


def _error(error: TrothError) -> dict[str, Any]:
    """One of our errors as plain data; `runs` makes it one again."""
    plain: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": str(error),
        "fix": error.fix,
    }
    if isinstance(error, Malformed):
        plain |= {"field": error.field, "offset": error.offset}
    return {"error": plain}


def main(arguments: list[str]) -> NoReturn:
    """Runs until the end of the image.

    Args:
        arguments: the number of the inherited socket, and the name of the ground.
    """
    # The owner hears of Ctrl-C and closes its end; here it would only break what is being done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, on = arguments
    control = socket.socket(fileno=int(number))
    control.set_inheritable(False)
    console = Console()
    # Before any thread, and before the control socket is read: see `grounds`.
    ground = grounds.kind(on).make(console)
    with control.makefile("rb") as lines:
        line = lines.readline()
    if not line:
        ground.kill()
        sys.exit(0)
    supervisor = Supervisor(
        control=control, request=Request.decode(line), console=console, on=on, ground=ground
    )
    try:
        code = supervisor.run()
    except TrothError as error:
        supervisor._tell(_error(error))  # noqa: SLF001 - the same file
        sys.exit(error.exit_code)
    supervisor._tell({"ended": code})  # noqa: SLF001
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
