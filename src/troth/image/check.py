"""Building twice, in two environments that differ in all that a careless build would let in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from troth.errors import Misuse, Unavailable
from troth.image import locking
from troth.image.compare import differences
from troth.image.files import disk, write_together
from troth.image.recipe import load
from troth.image.store import Store, digest
from troth.platforms.nitro.measure import measure
from troth.wire import eif

_SOURCE: Final = str(Path(__file__).parent.parent.parent)
_TIMEOUT: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One way to build.

    Attributes:
        name: for messages.
        variables: all of the process's environment but PATH.
        umask: of the process.
        prefix: a command that runs the rest, such as one that changes the host's name.
        reverse: whether the app's files are created in reverse order, in a deeper folder.
    """

    name: str
    variables: Mapping[str, str]
    umask: int
    prefix: tuple[str, ...] = ()
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """What came of building twice.

    Attributes:
        sha256: of the first image.
        measurements: of the first image.
        differences: in words, empty if both are the same bytes.
    """

    sha256: str
    measurements: Mapping[str, Mapping[str, str]]
    differences: tuple[str, ...]


def plain() -> Environment:
    """An ordinary environment, and nothing of the caller's."""
    return Environment(
        name="plain",
        variables={"HOME": "/", "LANG": "C.UTF-8", "TZ": "UTC", "USER": "builder"},
        umask=0o022,
    )


def strange() -> Environment:
    """As different as this machine allows; what it does not have is left out."""
    prefix: list[str] = []
    renamed = ("unshare", "--user", "--map-root-user", "--uts")
    if shutil.which("unshare") and shutil.which("hostname"):
        probe = subprocess.run(
            [*renamed, "hostname", "elsewhere"], capture_output=True, check=False, timeout=30
        )
        if probe.returncode == 0:
            prefix += [*renamed, "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
    if shutil.which("faketime"):
        prefix += ["faketime", "-f", "@2031-02-03 04:05:06"]
    return Environment(
        name="strange",
        variables={
            "HOME": "/nonexistent",
            "LANG": "tr_TR.UTF-8",
            "LC_ALL": "C",
            "TZ": "Pacific/Chatham",
            "USER": "somebody-else",
            "PYTHONHASHSEED": "4242",
            "SOURCE_DATE_EPOCH": "1234567890",
        },
        umask=0o077,
        prefix=tuple(prefix),
        reverse=True,
    )


def build_twice(
    app: Path,
    out: Path,
    *,
    store: Store | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Twice:
    """Builds an app in `plain` and in `strange` at the same time, and compares.

    Args:
        app: the app's folder.
        out: where the first image and its records go, if both builds worked.
        store: where packages are kept.
        say: told each step.

    Raises:
        Misuse, Malformed, Unavailable: as a single build does; the first message is given.
    """
    _, _, place = locking.ensure(app, store=store, say=say)
    name = load(app).name
    say(f"building {name} twice")
    with disk("building"), TemporaryDirectory(prefix="troth-check-") as folder:
        jobs = []
        for environment in (plain(), strange()):
            home = Path(folder, environment.name)
            target = home / "out" / f"{name}.eif"
            jobs.append((start(app, target, environment, place.folder), target))
        for process, _ in jobs:
            _finish(process)
        first, second = (target for _, target in jobs)
        data = first.read_bytes()
        found = differences(first, second)
        files = {
            f"{out.name.removesuffix('.eif')}{ending}": [first.with_suffix(ending).read_bytes()]
            for ending in (".measurements.json", ".build.json")
        }
        write_together(out.parent, {**files, out.name: [data]})
    return Twice(
        sha256=digest(data),
        measurements={"nitro": dict(measure(eif.read(data)).hex())},
        differences=found,
    )


def start(
    app: Path,
    target: Path,
    environment: Environment,
    store: Path,
    *,
    python: tuple[str, ...] = (sys.executable,),
) -> "subprocess.Popen[bytes]":
    """Starts one build of a copy of the app, in an environment.

    Args:
        app: the app's folder.
        target: path of the image; the copy of the app is made in its folder's parent.
        environment: how.
        store: folder of the package store.
        python: the interpreter with its arguments.
    """
    target.parent.mkdir(parents=True)
    deeper = (
        ("a-much-longer-folder-name-than-the-other-one-has", "app")
        if environment.reverse
        else ("app",)
    )
    copy = target.parent.parent.joinpath(*deeper)
    _copy(app, copy, reverse=environment.reverse)
    command = [
        *environment.prefix,
        *python,
        "-m",
        "troth.image",
        str(copy),
        str(target),
        str(store),
    ]
    variables = {
        **environment.variables,
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PYTHONPATH": _SOURCE,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.Popen(
        command,
        env=variables,
        cwd=target.parent,
        umask=environment.umask,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _copy(app: Path, copy: Path, *, reverse: bool) -> None:
    copy.mkdir(parents=True)
    for path in sorted(app.rglob("*"), reverse=reverse):
        place = copy / path.relative_to(app)
        if path.is_symlink() or not path.is_file():
            if path.is_dir() and not path.is_symlink():
                place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        # Of a file's mode only whether it may be executed is part of an image.
        place.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _finish(process: "subprocess.Popen[bytes]") -> None:
    try:
        _, errors = process.communicate(timeout=_TIMEOUT)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        said = errors.decode("utf-8", "replace").strip().removeprefix("error: ")
        kind = Misuse if process.returncode == Misuse.exit_code else Unavailable
        raise kind(said[-600:] or f"a build ended with {process.returncode}")
