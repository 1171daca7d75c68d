"""Who brought a file of an image: which package, wheel or part of troth."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from troth.errors import TrothError
from troth.image import deb, unpack_wheel
from troth.image import lock as locks
from troth.image.keys import suite
from troth.image.lock import Lock
from troth.image.rootfs import AGENT, MODULES
from troth.image.store import Store
from troth.image.tree import merged

TROTH = "troth"
APP = "the app"
_OURS = ("etc/troth", "init", AGENT)


def of_record(record: Mapping[str, object], store: Store, paths: Iterable[str]) -> dict[str, str]:
    """Owners by path, as `owners`, with the lock and the app's files that a build record names.

    A record that names none, or is none, gives what the paths alone say.
    """
    lock = None
    text, app = record.get("lock"), record.get("app")
    if isinstance(text, str):
        try:
            lock = locks.parse(text.encode("utf-8", "replace"))
        except TrothError:
            lock = None
    files = app if isinstance(app, list) else []
    own = {
        item["path"]
        for item in files
        if isinstance(item, dict) and isinstance(item.get("path"), str)
    }
    return owners(paths, lock=lock, store=store, app=own)


def owners(
    paths: Iterable[str], *, lock: Lock | None, store: Store | None, app: Iterable[str]
) -> dict[str, str]:
    """Owners by path, in words; a file of nobody known is left out.

    Args:
        paths: of files in the image, with a slash before them.
        lock: that names the packages, or None.
        store: where they are; what it lacks is nobody's.
        app: paths of the app's own files.
    """
    own = frozenset(app)
    found: dict[str, str] = {}
    wanted: dict[str, list[str]] = {}
    for path in paths:
        source = source_of(path)
        near = _near(source, own)
        if near:
            found[path] = near + _made(path)
        else:
            wanted.setdefault(source.lstrip("/"), []).append(path)
    if lock is None or store is None or not wanted:
        return found
    for name, who in _packages(lock, store, frozenset(wanted)):
        for path in wanted[name]:
            found[path] = who + _made(path)
    return found


def source_of(path: str) -> str:
    """The source of a file of bytecode; any other path as it is."""
    pure = PurePosixPath(path)
    if pure.suffix != ".pyc" or pure.parent.name != "__pycache__":
        return path
    return str(pure.parent.parent / f"{pure.name.split('.')[0]}.py")


def _made(path: str) -> str:
    """How bytecode came to be, to follow who brought its source."""
    source = source_of(path)
    return "" if source == path else f", compiled from {source} by the image's own Python"


def _near(path: str, app: frozenset[str]) -> str:
    """What the path alone says."""
    if path in app:
        return APP
    plain = path.lstrip("/")
    if plain.startswith(f"{AGENT}/lib/") and not plain.startswith(f"{AGENT}/lib/troth/"):
        return ""  # wheels that the agent needs
    if any(plain == place or plain.startswith(f"{place}/") for place in _OURS):
        return f"{TROTH}, which is in every image"
    return APP if plain.startswith(("app/", "rootfs/")) else ""


def _packages(lock: Lock, store: Store, wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Each wanted path with the package that holds it."""
    if any(path.startswith(f"{MODULES}/") for path in wanted):
        words = f"the Debian package {lock.kernel.name} {lock.kernel.version}, of the kernel"
        yield from ((path, words) for path in wanted if path.startswith(f"{MODULES}/"))
    for package in lock.debs:
        try:
            members = deb.members(
                store.get(sha256=package.sha256, name=package.file), name=package.file
            )
            names = {merged(member.path) for member in members}
        except TrothError:
            continue
        for path in sorted(wanted & names):
            yield path, f"the Debian package {package.name} {package.version}"
    python = suite(lock.suite).python
    for wheels, into in (
        (lock.wheels, f"usr/local/lib/python{python}/dist-packages"),
        (lock.agent_wheels, f"{AGENT}/lib"),
    ):
        if not any(path.startswith(f"{into}/") for path in wanted):
            continue
        for wheel in wheels:
            try:
                data = store.get(sha256=wheel.sha256, name=wheel.file)
                names = {f"{into}/{path}" for path, _ in unpack_wheel.files(data, name=wheel.file)}
            except TrothError:
                continue
            for path in sorted(wanted & names):
                yield path, f"the wheel {wheel.name} {wheel.version}"
