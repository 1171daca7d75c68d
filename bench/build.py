"""An app's build, its packages at hand: against one read and hash of all bytes, and against mmdebstrap and cpio."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.timing import Line

from troth.errors import TrothError, Unavailable
from troth.image import build as builder
from troth.image import deb, locking
from troth.image.apt import Mirrors
from troth.image.hardware import kept
from troth.image.lock import Deb, Lock
from troth.image.memo import Memo
from troth.image.store import Store
from troth.image.tree import Tree, merged
from troth.wire import cpio, eif

APP = Path(__file__).parents[1] / "examples" / "hello"
ROUNDS = 3


def building() -> list[Line] | str:
    """The whole build, first and after an edit, and its part that the peer does as well."""
    try:
        _, lock, store = locking.ensure(APP)
    except TrothError as error:
        return f"the example's packages are not at hand: {error}"
    image: list[bytes] = []

    with tempfile.TemporaryDirectory(prefix="troth-bench-") as name:
        folder = Path(name)
        app = shutil.copytree(APP, folder / "app")
        memo = Memo(folder=folder / "made", key=os.urandom(32))

        kernel = "debian" if kept.find(store) is None else "hardware"

        def whole() -> None:
            image[:] = [eif.pack(builder.build(app, kernel=kernel, store=store).image)]

        def warm() -> None:
            built = builder.build(app, kernel=kernel, store=store, memo=memo)
            builder.write(built, folder / "warm.eif")

        def edited() -> None:
            with (app / "app" / "hello.py").open("a") as source:
                source.write(f"# {time.monotonic_ns()}\n")
            warm()

        steps = {
            "built": whole,
            "floor": lambda: _floor(lock, store, image[0]),
            "edited": edited,
            "warm": warm,
            "archive": lambda: _archive(lock, store, folder / "ours.cpio"),
        }
        absent = _absent()
        if not absent:
            source = _repository(lock, store, folder)
            steps["peer at best"] = lambda: _peer(
                lock, f"deb [trusted=yes] copy:{source} ./", folder
            )
            mirror = _mirror()
            if mirror:
                steps["peer"] = lambda: _peer(lock, mirror, folder)
        warm()
        found = _best(steps)
    floor = found["floor"]
    lines = [
        Line(
            f"build examples/hello with the {kernel} kernel, its packages at hand",
            found["built"],
            "reading, SHA-384 of all",
            floor,
        ),
        Line(
            "built again after an edit of the app, and written",
            found["edited"],
            "the same floor",
            floor,
        ),
        Line("built again as it was, and written", found["warm"], "the same floor", floor),
        Line("its packages become an archive", found["archive"], "the same floor", floor),
    ]
    if absent:
        print(f"  without the peer: {absent}")
        return lines
    if "peer" in found:
        what = "mmdebstrap and cpio, the same packages, from the mirror"
        lines += [
            Line(what, found["peer"], "built again as it was", found["warm"], 10, at_least=True),
            Line("the same", found["peer"], "built again after an edit", found["edited"]),
            Line(
                "the same", found["peer"], "the first build, with bytecode and gzip", found["built"]
            ),
        ]
    best = found["peer at best"]
    return [
        *lines,
        Line(
            "mmdebstrap and cpio, from disk and of nothing else",
            best,
            "built again as it was",
            found["warm"],
        ),
        Line("the same", best, "that archive", found["archive"]),
    ]


def _best(steps: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Of single calls in turn: each takes seconds."""
    found = dict.fromkeys(steps, float("inf"))
    for _ in range(ROUNDS):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            found[name] = min(found[name], time.perf_counter() - begin)
    return found


def _floor(lock: Lock, store: Store, image: bytes) -> None:
    """Every byte that goes in is read and hashed, and every byte that comes out hashed."""
    for item in (*lock.all_debs, *lock.all_wheels):
        hashlib.sha384((store.folder / item.sha256).read_bytes()).digest()
    hashlib.sha384(image).digest()


def _archive(lock: Lock, store: Store, out: Path) -> None:
    """All files of the packages, none left out: what the peer packs."""
    tree = Tree()
    with ThreadPoolExecutor() as pool:
        for package, members in zip(lock.debs, pool.map(_of(store), lock.debs), strict=True):
            for member in members:
                path = merged(member.path)
                if path:
                    deb.place(member, tree, path, owner=package.name)
    with out.open("wb") as file:
        file.writelines(cpio.pack(tree.entries()))


def _of(store: Store) -> Callable[[Deb], list[deb.Member]]:
    def members(package: Deb) -> list[deb.Member]:
        data = store.get(sha256=package.sha256, name=package.file)
        return list(deb.members(data, name=package.file))

    return members


def _absent() -> str:
    """What of the peer is missing here."""
    for name in ("mmdebstrap", "cpio"):
        if shutil.which(name) is None:
            return f"the program {name} is absent (Debian: {name})"
    return "" if os.getuid() == 0 else "mmdebstrap is given root here, as its quickest way"


def _mirror() -> str:
    """Where this machine's apt has its packages from: the peer is run as its users run it."""
    try:
        return Mirrors.of_machine().debian
    except Unavailable as error:
        print(f"  without the mirror: {error}")
        return ""


def _repository(lock: Lock, store: Store, folder: Path) -> Path:
    """The packages as a repository on disk, so that the peer fetches nothing either."""
    place = folder / "repository"
    place.mkdir()
    folder.chmod(0o755)
    rows = []
    for package in lock.debs:
        data = store.get(sha256=package.sha256, name=package.file)
        (place / package.file).write_bytes(data)
        said = deb.control(data, name=package.file)
        kept = ("Package", "Version", "Architecture", "Maintainer", "Priority")
        fields = [f"{field}: {said[field]}" for field in kept if field in said]
        fields += [
            f"Filename: ./{package.file}",
            f"Size: {package.size}",
            f"SHA256: {package.sha256}",
        ]
        rows.append("\n".join(fields) + "\n")
    (place / "Packages").write_text("\n".join(rows), encoding="utf-8")
    return place


def _peer(lock: Lock, source: str, folder: Path) -> None:
    root = Path(tempfile.mkdtemp(dir=folder), "root")  # what is in it is removed after all is timed
    names = ",".join(package.name for package in lock.debs)
    command = (
        *("mmdebstrap", "--mode=root", "--variant=extract", f"--include={names}", "--quiet"),
        *("--skip=check/empty", "--setup-hook=true", lock.suite, str(root)),
        source,
    )
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    pack = "find . -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --reproducible --quiet"
    subprocess.run(["sh", "-c", f"{pack} >../root.cpio"], cwd=root, check=True)
