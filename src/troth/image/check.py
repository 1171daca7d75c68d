"""Building twice, in two environments that differ in all that a careless build would let in."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.image import budget as budgets
from troth.image import companions, locking
from troth.image.budget import Budget
from troth.image.compare import differences
from troth.image.explain import sentence
from troth.image.files import disk, write_together
from troth.image.store import Store, digest
from troth.platforms.nitro.measure import measure
from troth.wire import eif, json

_SOURCE: Final = str(Path(__file__).parent.parent.parent)
_TIMEOUT: Final = 900
_BESIDE: Final = (companions.MEASUREMENTS, companions.RECORD)
# As another user who still may read what this one may: identity 4242 in a namespace of its own.
_RENAMED: Final = (
    ("unshare", "--user", "--map-user=4242", "--map-group=4242", "--keep-caps", "--uts"),
    ("unshare", "--user", "--map-root-user", "--uts"),
)
# faketime shares its clock in memory under the number of its process. A build that is killed would
# leave that behind, and a later one that gets the number would be refused.
_OWN_MEMORY: Final = (
    *("unshare", "--user", "--map-root-user", "--mount"),
    *("sh", "-c", 'mount -t tmpfs none /dev/shm && exec "$@"', "sh"),
)


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
    ways = (*((*_OWN_MEMORY, *renamed) for renamed in _RENAMED), *_RENAMED)
    for way in ways if shutil.which("unshare") and shutil.which("hostname") else ():
        probe = subprocess.run(
            [*way, "hostname", "elsewhere"], capture_output=True, check=False, timeout=30
        )
        if probe.returncode == 0:
            prefix += [*way, "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
            break
    if shutil.which("faketime"):
        prefix += ["faketime", "-f", "@2031-02-03 04:05:06"]
    return Environment(
        name="strange",
        variables={
            "HOME": "/nonexistent",
            "LC_ALL": "tr_TR.UTF-8",
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
    kernel: str | None = None,
    root: Path | None = None,
    budget: Budget | None = None,
    source: Mapping[str, Any] | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Twice:
    """Builds an app in `plain` and in `strange` at the same time, and compares.

    Args:
        app: the app's folder.
        out: where the first image and its records go, if both builds worked.
        store: where packages are kept.
        kernel: in the place of the recipe's.
        root: what the app's root is taken from, in the place of where the recipe says.
        budget: what the image may have, in the place of the recipe's.
        source: what the build record says beside what a build knows, such as where the source is.
        say: told each step.

    Raises:
        OverBudget: it has more; nothing is written.
        Misuse, Malformed, Unavailable: as a single build does; the first message is given.
    """
    recipe, _, place = locking.ensure(app, store=store, say=say)
    name = recipe.name
    if recipe.brings:  # read where it is: a copy could be large, and is made in no other order
        root = (root or app / recipe.brings).resolve()
    say(f"building {name} twice")
    targets = []
    with disk("building"), TemporaryDirectory(prefix="troth-check-") as folder:
        with contextlib.ExitStack() as ends:
            running = []
            for environment in (plain(), strange()):
                home = Path(folder, environment.name)
                copy = home / (
                    "a-much-longer-name-of-a-folder/app" if environment.reverse else "app"
                )
                copy_app(app, copy, reverse=environment.reverse, but=root)
                targets.append(home / "out" / f"{name}.eif")
                process = start(
                    copy, targets[-1], environment, place.folder, kernel=kernel, root=root
                )
                ends.callback(end, process)
                running.append(process)
            for process in running:
                finish(process)
        first, second = targets
        data = first.read_bytes()
        found = differences(first, second, words=sentence) + tuple(
            f"{name}{ending} differs"
            for ending in _BESIDE
            if companions.of(first, ending).read_bytes()
            != companions.of(second, ending).read_bytes()
        )
        files = {
            companions.of(out, ending).name: [companions.of(first, ending).read_bytes()]
            for ending in _BESIDE
        }
        said = json.parse(companions.of(first, companions.RECORD).read_bytes(), field="record")
        limits = Budget(limits=recipe.budget) if budget is None else budget
        budgets.hold(said["surface"], limits)
        if source:
            record = companions.of(out, companions.RECORD).name
            files[record] = [json.canonical({**said, **source})]
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
    kernel: str | None = None,
    root: Path | None = None,
    python: tuple[str, ...] = (sys.executable,),
) -> "subprocess.Popen[bytes]":
    """Starts one build in an environment, as the first process of a group of its own.

    Args:
        app: the app's folder.
        target: path of the image; temporary files are made beside its folder.
        environment: how.
        store: folder of the package store.
        kernel: in the place of the recipe's.
        root: what the app's root is taken from.
        python: the interpreter with its arguments.
    """
    temporary = target.parent.parent / "temporary"
    for folder in (target.parent, temporary):
        folder.mkdir(parents=True)
    return subprocess.Popen(
        [
            *environment.prefix,
            *(*python, "-m", "troth.image"),
            *(str(app), str(target), str(store)),
            *(() if kernel is None and root is None else (kernel or "-",)),
            *(() if root is None else (str(root),)),
        ],
        env={
            **environment.variables,
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "PYTHONPATH": _SOURCE,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(temporary),
        },
        cwd=target.parent,
        umask=environment.umask,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def copy_app(app: Path, copy: Path, *, reverse: bool, but: Path | None = None) -> None:
    """A copy of an app's folder, its files made in order or in reverse order.

    Args:
        app: the folder.
        copy: where the copy goes.
        reverse: the order.
        but: a file or folder that is left out, if it is in there.
    """
    copy.mkdir(parents=True)
    for path in sorted(app.rglob("*"), reverse=reverse):
        if but is not None and path.resolve().is_relative_to(but):
            continue
        place = copy / path.relative_to(app)
        if path.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.readlink())
        elif path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            # Of a file's mode only whether it may be executed is part of an image.
            place.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def finish(process: "subprocess.Popen[bytes]") -> None:
    """Waits for a build.

    Raises:
        Misuse, Malformed, Unavailable: what the build said, with its fix.
    """
    try:
        _, errors = process.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"a build took longer than {_TIMEOUT} s") from None
    if process.returncode:
        raise _said(errors.decode("utf-8", "replace").strip(), process.returncode)


def _said(text: str, code: int) -> TrothError:
    """The child's message as an error of the kind that its exit code says."""
    message, _, fix = text[-2000:].removeprefix("error: ").partition("\nfix: ")
    if code == Malformed.exit_code:
        field, _, rest = message.partition(": ")
        return Malformed(rest, field=field, fix=fix)
    kind = Misuse if code == Misuse.exit_code else Unavailable
    return kind(message or f"a build ended with {code}", fix=fix)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a build with everything that it started, if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
