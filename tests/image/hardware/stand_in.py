"""A stand-in for the compiler inside its walls, for tests of what is done around it.

It reads the fragment and writes files where the real steps write them. What the real ones write is
tested with the real ones, under the marker `hardware_kernel`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.image.made import member, package

from troth.image.hardware import plan
from troth.image.hardware.inputs import Inputs, Pinned
from troth.image.hardware.plan import Job
from troth.image.lock import Deb, pinned_keys
from troth.image.store import Store, digest

NOTHING = Pinned(
    version="none", sha256="0" * 64, size=1, config_sha256="0" * 64, made_from="0" * 64
)


@dataclass
class Compiler:
    """What it does may be changed by a test.

    Attributes:
        image: what it compiles; given the environment.
        drop: options that its configuration loses.
        fail: step at which it fails, by a word of its command.
        said: what it prints when it fails.
        jobs: what it was asked.
    """

    image: Callable[[Job], bytes] = lambda _: b"bzImage"
    drop: tuple[str, ...] = ()
    fail: str = ""
    said: str = "error: no"
    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job, *, line: Callable[[str], object]) -> int:
        self.jobs.append(job)
        assert (job.root / "usr/bin/gcc").read_bytes() == b"compiler"
        folder = next(bind.source for bind in job.binds if bind.writable)
        if self.fail and self.fail in job.argv:
            line(self.said)
            return 2
        if "allnoconfig" in job.argv:
            lines = (folder / plan.FRAGMENT).read_text().splitlines()
            kept = (
                (text for text in lines if not text.startswith(self.drop)) if self.drop else lines
            )
            (folder / plan.CONFIG).write_text("# made\n" + "\n".join(kept) + "\n")
        elif "bzImage" in job.argv:
            for number in range(3):
                line(f"  CC      kernel/{number}.o")
            for name, data in (
                (plan.IMAGE, self.image(job)),
                ("include/config/kernel.release", b"6-t\n"),
            ):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
        return 0


def deb(name: str, data: bytes) -> Deb:
    """A package as a lock names it."""
    return Deb(
        name=name, version="1", archive="debian", path=f"pool/{name}_1_all.deb", size=len(data),
        sha256=digest(data),
    )  # fmt: skip


def lock(store: Store) -> Inputs:
    """A lock of two small packages that the store has, and that pins nothing that anybody makes."""
    gcc = package(member("./usr/bin/gcc", b"compiler", mode=0o755))
    source = package(member("./usr/src/linux-source-6.12.tar.xz", b"archive"))
    for data in (gcc, source):
        store.put(data, sha256=digest(data), name="x")
    return Inputs(
        suite="trixie",
        keys=pinned_keys("trixie"),
        source=deb("linux-source-6.12", source),
        toolchain=(deb("gcc", gcc),),
        kernel=NOTHING,
    )


def left(folder: Path) -> list[str]:
    """What is left in a folder for temporary files."""
    return sorted(path.name for path in folder.iterdir())
