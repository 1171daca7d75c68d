"""Where an image can run, and what its supervisor asks of each such place.

A ground starts one image once. It is made before its process has a thread or has read anything secret,
launched with a `Job`, and closed at the end, whatever came of it.
"""

import importlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

from troth.errors import Misuse
from troth.runtime.console import Console
from troth.runtime.load import Loaded

SIMULATOR: Final = "simulator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a ground is to run.

    Attributes:
        image: path of the image file.
        loaded: what was read from it.
        folder: the run's own folder, which is also the working directory: a unix socket's address has
            room for 107 bytes, so sockets are named relative to it. What a ground leaves in it is
            removed with it.
        free: data for the names that the image declares as free.
        pki: the development PKI as a PEM bundle; empty where the hardware signs.
        debug: whether registers 0 to 2 are zero, as in an enclave that runs in debug mode.
        unless_stopped: to be called in long steps; raises when somebody asked to stop.
    """

    image: Path
    loaded: Loaded
    folder: Path
    free: Mapping[str, bytes]
    pki: str
    debug: bool
    unless_stopped: Callable[[], None]


class Ground(Protocol):
    """One image's place to run, from `launch` to `close`."""

    @property
    def ready_seconds(self) -> float:
        """How long an image may take until it is ready, where the caller does not say."""

    @property
    def grace(self) -> float:
        """Seconds between asking the image to end and ending it."""

    def launch(self, job: Job) -> None:
        """Starts the image. Returns when it runs, not when it is ready.

        Raises:
            Unavailable: this machine lacks what it takes.
            Misuse: the image is not for this ground.
        """

    def ready(self) -> bool:
        """Whether the app answers on its ports. Asked again and again.

        Raises:
            Unavailable: it will never be, and why.
        """

    def poll(self) -> int | None:
        """The app's exit code if it has ended."""

    def wait(self) -> int:
        """Waits for the end and gives the exit code. May be called again."""

    def fileno(self) -> int:
        """A descriptor that becomes readable when the image ends, for as long as the ground is open."""

    def terminate(self) -> None:
        """Asks the app to end; no harm if it has."""

    def kill(self) -> None:
        """Ends everything at once; no harm if it has ended or was never launched."""

    def connect(self, port: int) -> socket.socket:
        """A byte stream to one of the image's ports.

        Raises:
            OSError: nobody answers there.
        """

    def close(self) -> None:
        """Lets go of what it holds on this machine; everything of the image has ended by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is known of a ground before it is made.

    Attributes:
        says: what it is and is not; said wherever one of its runs speaks.
        development: whether its evidence is signed under the user's own development root.
        factory: module and class, imported when one is made.
    """

    says: str
    development: bool
    factory: tuple[str, str]

    def make(self, console: Console) -> Ground:
        """A ground that writes what its image prints to this console."""
        module, name = self.factory
        made = getattr(importlib.import_module(module), name)
        return cast("Ground", made(console))


KINDS: Final[Mapping[str, Kind]] = {
    SIMULATOR: Kind(
        says="simulated: no isolation",
        development=True,
        factory=("troth.runtime.simulator", "Simulator"),
    ),
    "microvm": Kind(
        says="functional test: no isolation from this machine",
        development=True,
        factory=("troth.runtime.microvm", "Microvm"),
    ),
    "qemu-nitro": Kind(
        says="functional test: QEMU measures the image and signs nothing, so every verifier refuses it",
        development=False,
        factory=("troth.runtime.qemu_nitro", "QemuNitro"),
    ),
    "nitro": Kind(
        says="an enclave on this EC2 instance, through nitro-cli",
        development=False,
        factory=("troth.runtime.nitro", "Nitro"),
    ),
}


def kind(name: str) -> Kind:
    """The kind of this name.

    Raises:
        Misuse: there is none.
    """
    if name not in KINDS:
        raise Misuse(f"nothing runs on {name!r}", fix=f"run on {', '.join(KINDS)}")
    return KINDS[name]
