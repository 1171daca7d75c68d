"""What is known of each run, on disk: a folder with `state.json`, its console and its sockets.

The supervisor of a run is the only writer of its state. Others tell whether it lives by its process id
*and* the instant at which that process began, since ids are used again.
"""

import os
import re
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from troth.errors import Malformed, Misuse
from troth.runtime import folders
from troth.runtime.unpack import remove
from troth.wire import json

SCHEMA: Final = "troth/run/1"
STATE: Final = "state.json"
CONSOLE: Final = "console.log"
SHARED: Final = "host"
NSM: Final = "nsm.sock"
ROOT: Final = "root"
STARTING, RUNNING, ENDED = "starting", "running", "ended"
LOST: Final = "lost"
"""Not written by anybody: what a run is whose supervisor was killed."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A port of the image and where the host reaches it."""

    port: int
    host: str
    host_port: int

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.host_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process, named so that another one with the same id is not taken for it.

    Attributes:
        pid: its id.
        began: clock ticks between the machine's start and the process's, from `/proc/PID/stat`.
        boot: id of this start of the machine.
    """

    pid: int
    began: int
    boot: str

    @classmethod
    def this(cls) -> Self:
        """The calling process."""
        return cls(pid=os.getpid(), began=_began(os.getpid()), boot=_boot())

    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            return _boot() == self.boot and _began(self.pid) == self.began
        except (OSError, ValueError):
            return False

    def signal(self, number: signal.Signals) -> bool:
        """Sends a signal if it still runs; never to another process that has its id."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(descriptor, number)
        except OSError:
            return False
        else:
            return True
        finally:
            os.close(descriptor)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _began(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_bytes()
    # The program's name stands in brackets and may hold anything; the state follows it.
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        raise ValueError("it has ended")
    return int(fields[19])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """One run as its supervisor last wrote it.

    Attributes:
        id: the run's name.
        image: path of the image file.
        on: where it runs; see `troth.runtime.grounds`.
        started: RFC 3339 instant, UTC.
        debug: whether its evidence says so (registers 0 to 2 are zero).
        raw_nsm: whether its app has the security module itself, and there is no attested channel.
        detached: whether it outlives the process that started it.
        pcrs: registers 0, 1 and 2 as its evidence has them, in hex.
        pcr8: register 8, of a signed image.
        published: its ports on the host.
        status: starting, running or ended; see `seen`.
        exit_code: of the image's init, once it has ended.
        supervisor: the process that owns it.
    """

    id: str
    image: str
    on: str
    started: str
    debug: bool
    raw_nsm: bool
    detached: bool
    pcrs: tuple[str, ...]
    published: tuple[Published, ...]
    status: str
    exit_code: int | None
    supervisor: Process
    pcr8: str | None = None

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return root() / self.id

    @property
    def seen(self) -> str:
        """The status as it is now: `lost` where the supervisor died without writing the end."""
        return self.status if self.status == ENDED or self.supervisor.alive() else LOST

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {"schema": SCHEMA, **asdict(self), "status": self.seen}

    def write(self, folder: Path) -> None:
        """Writes `state.json` in one step."""
        content = {"schema": SCHEMA, **asdict(self)}
        folders.replace(folder / STATE, json.canonical(content))

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads what `asdict` gave.

        Raises:
            Malformed: it is something else.
        """
        try:
            raw = dict(data)
            raw.setdefault("on", "simulator")  # there was nothing else
            raw.setdefault("raw_nsm", False)
            if raw.pop("schema", SCHEMA) != SCHEMA:
                raise Malformed(f"its schema is not {SCHEMA}", field=STATE)
            return cls(
                **raw
                | {
                    "pcrs": tuple(raw["pcrs"]),
                    "published": tuple(Published(**item) for item in raw["published"]),
                    "supervisor": Process(**raw["supervisor"]),
                }
            )
        except (TypeError, KeyError, ValueError) as error:
            raise Malformed(f"is not the state of a run: {error}", field=STATE) from None


def keep_words_only(folder: Path) -> None:
    """Removes what a run has in its folder, except its state and what it printed."""
    for path in folder.iterdir():
        if path.name == STATE or path.name.startswith(CONSOLE):
            continue
        if path.is_dir() and not path.is_symlink():
            remove(path)
        else:
            path.unlink(missing_ok=True)


def root() -> Path:
    """The folder of all runs."""
    return folders.data() / "runs"


def read(name: str) -> RunState:
    """The state of one run.

    Raises:
        Misuse: there is no such run.
        Malformed: its state file is damaged.
    """
    if not _ID.fullmatch(name):
        raise Misuse(f"{name!r} is not the name of a run", fix="list the runs with troth ps")
    try:
        data = (root() / name / STATE).read_bytes()
    except OSError:
        raise Misuse(f"there is no run {name!r}", fix="list the runs with troth ps") from None
    record = RunState.from_dict(json.parse(data, field=STATE))
    if record.id != name:  # whoever removes a run removes the folder of this name
        raise Malformed(f"calls itself {record.id!r:.60} in the folder of {name}", field=STATE)
    return record


def everything() -> tuple[RunState, ...]:
    """All runs whose state can be read, oldest first."""
    found = []
    for folder in root().glob("*"):
        try:
            found.append(read(folder.name))
        except (Malformed, Misuse):
            continue
    return tuple(sorted(found, key=lambda run: (run.started, run.id)))
