"""Builds the hardware kernel, once or twice, and holds it against the digest that is pinned for it."""

import os
import platform
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from troth.errors import Unavailable
from troth.image.apt import Mirrors
from troth.image.compare import first_difference
from troth.image.fetched import Gone
from troth.image.files import disk
from troth.image.hardware import kept, options, plan, tools
from troth.image.hardware.inputs import Inputs, Pinned, inputs
from troth.image.locking import fetch_debs
from troth.image.store import Store, digest

ROOM: Final = 1_300_000_000  # bytes; tools, source, and what compiling leaves, rounded up

_EVERY: Final = 10.0  # seconds between two words about how far it is
_LAST: Final = 12  # lines of a program that failed
_RELEASE: Final = "include/config/kernel.release"

Say = Callable[[str], object]


class Differs(Unavailable):
    """Two builds of one kernel gave different bytes.

    Attributes:
        differences: in words.
    """

    def __init__(self, differences: tuple[str, ...]) -> None:
        super().__init__(
            f"two builds of the kernel differ: {'; '.join(differences)}",
            fix="please report it, with this machine's processor and kernel",
        )
        self.differences = differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A kernel as it came out of one build.

    Attributes:
        image: the bzImage.
        config: its configuration in `options.canonical` form.
        version: what it calls itself.
        seconds: wall time of each phase.
    """

    image: bytes
    config: bytes
    version: str
    seconds: dict[str, float]

    def pinned(self, made_from: str) -> Pinned:
        """What a lock says of it."""
        return Pinned(
            version=self.version,
            sha256=digest(self.image),
            size=len(self.image),
            config_sha256=digest(self.config),
            made_from=made_from,
        )


def build(
    store: Store,
    *,
    sandbox: plan.Sandbox,
    twice: bool = False,
    mirrors: Mirrors | None = None,
    say: Say = lambda _: None,
) -> Made:
    """Builds the pinned kernel and keeps it in the store; nothing is kept of what came out otherwise.

    Args:
        store: where packages are kept, and the kernel.
        sandbox: makes the walls around the compiler.
        twice: build it again in another environment, and compare.
        mirrors: where packages are; the machine's own by default.
        say: told each step.

    Raises:
        Unavailable: a package can't be had, the disk is full, the machine refuses namespaces, the
            compiler failed, or what came out is not the pinned kernel.
        Malformed: a package has other bytes than the lock says.
        Gone: the mirror has a package no more.
    """
    lock = inputs()
    made = make(lock, store, sandbox=sandbox, twice=twice, mirrors=mirrors, say=say)
    found = made.pinned(lock.made_from())
    if found != lock.kernel:
        wrong = [
            f"its {name} is {getattr(found, name)}, not {getattr(lock.kernel, name)}"
            for name in Pinned.__slots__
            if getattr(found, name) != getattr(lock.kernel, name)
        ]
        raise Unavailable(
            f"the kernel that was built is not the one that troth pins: {'; '.join(wrong)}",
            fix="check this machine's memory and disk, and build again; if it stays so, please report it",
        )
    kept.keep(found, store, image=made.image, config=made.config)
    return made


def make(
    lock: Inputs,
    store: Store,
    *,
    sandbox: plan.Sandbox,
    twice: bool = False,
    mirrors: Mirrors | None = None,
    say: Say = lambda _: None,
) -> Made:
    """Builds a kernel from a lock's packages, whatever it pins. Nothing is kept.

    Raises:
        Unavailable, Malformed, Gone: as `build`.
        Differs: the two builds do.
    """
    if platform.machine() != "x86_64":
        raise Unavailable(
            f"the hardware kernel is compiled by programs for x86_64, this machine is {platform.machine()}",
            fix="build it on a machine for x86_64; its bytes are the same from any",
        )
    _fetch(lock, store, mirrors, say)
    jobs = len(os.sched_getaffinity(0))
    with disk("building the kernel"), TemporaryDirectory(prefix="troth-kernel-") as name:
        folder = Path(name)
        _room(folder)
        clock = _Clock(say)
        with clock.phase("unpacking the tools"):
            tools.write(tools.tree(lock.toolchain, store), folder / "tools")
            (folder / "linux.tar.xz").write_bytes(tools.archive(lock, store))
        first = _once(folder, plan.plain(jobs), sandbox, clock)
        if twice:
            second = _once(folder, plan.strange(jobs), sandbox, clock)
            _same(first, second)
        return first


def _fetch(lock: Inputs, store: Store, mirrors: Mirrors | None, say: Say) -> None:
    """Has the packages at hand; what can be done where they can't be had is another than for an app's."""
    try:
        fetch_debs(lock.packages, store=store, mirrors=mirrors, say=say)
    except Unavailable as error:
        if isinstance(error, Gone):
            error.fix = (
                "name a mirror that keeps old packages, such as a snapshot of Debian's archive: "
                "`troth kernel build --mirror URL`"
            )
        elif "mirror" in error.fix:
            error.fix = (
                "check the network, or name another mirror: `troth kernel build --mirror URL`"
            )
        raise


def _once(folder: Path, where: plan.Environment, sandbox: plan.Sandbox, clock: "_Clock") -> Made:
    root, own = folder / "tools", folder / where.name
    source, out = own / "source", own / "build"
    source.mkdir(parents=True)
    out.mkdir()
    parts = options.table()
    (out / plan.FRAGMENT).write_bytes(options.fragment(parts))
    with clock.phase(f"unpacking the source ({where.name})"):
        _run(sandbox, plan.unpack(root, folder / "linux.tar.xz", source, where), clock)
    with clock.phase(f"configuring ({where.name})"):
        _run(sandbox, plan.configure(root, source, out, where), clock)
    config = (out / plan.CONFIG).read_bytes()
    options.check(parts, config)
    with clock.phase(f"compiling ({where.name})"):
        _run(sandbox, plan.compile_kernel(root, source, out, where), clock)
    made = Made(
        image=(out / plan.IMAGE).read_bytes(),
        config=options.canonical(config),
        version=(out / _RELEASE).read_text("ascii").strip(),
        seconds=clock.seconds,
    )
    shutil.rmtree(own)  # before the next one needs the room
    return made


def _run(sandbox: plan.Sandbox, job: plan.Job, clock: "_Clock") -> None:
    last: deque[str] = deque(maxlen=_LAST)

    def line(text: str) -> None:
        last.append(text.strip())
        clock.saw(text)

    code = sandbox(job, line=line)
    if code:
        if any("No space left" in text for text in last):
            raise Unavailable(
                "the disk is full", fix="free space, or choose another folder with TMPDIR"
            )
        said = " | ".join(last)[-600:]
        raise Unavailable(f"{Path(job.argv[0]).name} ended with {code} inside: {said}")


def _same(first: Made, second: Made) -> None:
    """Refuses two kernels that differ."""
    found = []
    if first.image != second.image:
        at = first_difference(first.image, second.image)
        sizes = f"{len(first.image)} and {len(second.image)} bytes"
        found.append(f"the image from byte {at} on ({sizes})")
    mine, theirs = options.settings(first.config), options.settings(second.config)
    names = sorted(n for n in {*mine, *theirs} if mine.get(n) != theirs.get(n))
    if names:
        found.append(f"the options {', '.join(names)}")
    if found:
        raise Differs(tuple(found))


def _room(folder: Path) -> None:
    stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    if free < ROOM:
        raise Unavailable(
            f"building the kernel needs {ROOM // 10**6} MB, and {folder.parent} has {free // 10**6} MB",
            fix="free space, or choose another folder with TMPDIR",
        )


@dataclass(slots=True)
class _Clock:
    """Says which phase it is, how long it has taken, and how many files were compiled."""

    say: Say
    seconds: dict[str, float] = field(default_factory=dict)
    _name: str = ""
    _began: float = 0.0
    _told: float = 0.0
    _files: int = 0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._name, self._files = name, 0
        self._began = self._told = time.monotonic()
        self.say(name)
        yield
        self.seconds[name] = round(time.monotonic() - self._began, 1)

    def saw(self, text: str) -> None:
        """A line of the compiler's; now and then it is worth a word."""
        self._files += text.startswith("  CC ")
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            far = f", {self._files} of about {plan.FILES} files" if self._files else ""
            self.say(f"{self._name}: {now - self._began:.0f} s{far}")
