"""An image's root file system written out for Nix: a flake, and the list of files that it must come to.

Nobody here runs Nix: the list is the tree of the build, file by file, and the flake's own assembler, which
runs without Nix as well, holds each file to it.
"""

from collections.abc import Iterator
from importlib.resources import files as resources
from pathlib import Path, PurePosixPath
from stat import S_IFDIR, S_IFLNK, S_IFMT
from typing import Any, Final

from troth.errors import Misuse, Unavailable
from troth.image import locking, rootfs, slim
from troth.image.architecture import DEFAULT
from troth.image.files import disk, write_together
from troth.image.keys import suite
from troth.image.lock import Deb, Lock, Wheel, pretty
from troth.image.nix.assemble import COMPILED, FILES
from troth.image.store import Store, digest
from troth.image.tree import Tree

SCHEMA: Final = "troth/nix/1"
LIST: Final = "files.json"
_CARRIED: Final = ("flake.nix", "mirrors.nix", "assemble.py")
_WORKER: Final = "compile_worker.py"
_LOADER: Final = "/lib64/ld-linux-x86-64.so.2"


def make(
    folder: Path, *, kernel: str | None = None, store: Store | None = None
) -> dict[str, bytes]:
    """What is written out, by path below the target.

    Args:
        folder: the app's.
        kernel: in the place of the recipe's.
        store: where packages are kept.

    Raises:
        Misuse: the app brings its own root, or is for another machine than x86-64.
        Misuse, Malformed, Unavailable: as a build.
    """
    from dataclasses import replace

    recipe, lock, place = locking.ensure(folder, store=store)
    if recipe.brings:
        raise Misuse(
            "the app brings its own root, which is in no package that Nix could fetch",
            fix="write out apps that are made of packages and files",
        )
    if recipe.architecture != DEFAULT:
        raise Misuse(f"only images for {DEFAULT} are written out for Nix")
    recipe = replace(recipe, kernel=kernel or recipe.kernel)
    with rootfs.make(folder, recipe, lock, place) as made:
        tree = made.tree
    rows = list(_rows(tree, lock))
    python = suite(lock.suite).python
    document = {
        "schema": SCHEMA,
        "name": recipe.name,
        "system": "x86_64-linux",
        "python": f"usr/bin/python{python}",
        "loader": tree.resolve(_LOADER),
        "libraries": [folder for folder in slim.LIBRARIES if folder in tree],
        "packages": _packages(lock, {row["from"] for row in rows if "from" in row}),
        "files": rows,
    }
    ours = resources(__package__)
    carried = {name: ours.joinpath(name).read_bytes() for name in _CARRIED}
    own = {row["path"] for row in rows if row.get("from") == FILES}
    return {
        **carried,
        LIST: pretty(document),
        f"{FILES}/{_WORKER}": Path(rootfs.__file__).with_name(_WORKER).read_bytes(),
        **{f"{FILES}/{digest(tree[path].data)}": tree[path].data for path in sorted(own)},
    }


def write(made: dict[str, bytes], target: Path) -> None:
    """Writes it into a folder that is not there yet.

    Raises:
        Misuse: something is there.
        Unavailable: the disk refuses.
    """
    with disk(f"writing {target}"):
        try:
            target.mkdir(parents=True)
        except FileExistsError:
            raise Misuse(f"{target} exists", fix="name a folder that is not there yet") from None
        inner = {name.partition("/")[2]: [data] for name, data in made.items() if "/" in name}
        write_together(target / FILES, inner)
        # Last, so that a folder that was not written to its end is no flake.
        write_together(target, {n: [d] for n, d in made.items() if "/" not in n})


def _rows(tree: Tree, lock: Lock) -> Iterator[dict[str, Any]]:
    """Each name of the tree: a folder, a link with its target, or a file with its digest and source."""
    debs = {deb.name: deb.sha256 for deb in (*lock.debs, lock.kernel)}
    wheels = {wheel.name: wheel.sha256 for wheel in lock.wheels}
    agents = {wheel.name: wheel.sha256 for wheel in lock.agent_wheels}
    tag = "cpython-" + suite(lock.suite).python.replace(".", "")
    for entry in tree.entries():
        row: dict[str, Any] = {"path": entry.path}
        if S_IFMT(entry.mode) == S_IFLNK:
            row["target"] = bytes(entry.data).decode("utf-8")
        elif S_IFMT(entry.mode) != S_IFDIR:
            row |= {"mode": f"{entry.mode & 0o777:o}", "sha256": digest(entry.data)}
            owner = tree[entry.path].owner
            source = _source(entry.path, tag)
            if source in tree:
                row |= {"from": COMPILED, "source": source}
            elif owner in ("app", "image", "troth"):
                row["from"] = FILES
            else:
                of = agents if entry.path.startswith(f"{rootfs.AGENT}/") else {**debs, **wheels}
                row["from"] = of.get(owner) or debs.get(owner, "")
        yield row


def _source(path: str, tag: str) -> str:
    """The file that bytecode is compiled from, or an empty text for anything else."""
    place = PurePosixPath(path)
    if place.parent.name != "__pycache__" or not place.name.endswith(f".{tag}.pyc"):
        return ""
    return str(place.parent.parent / f"{place.name.removesuffix(f'.{tag}.pyc')}.py")


def _packages(lock: Lock, used: set[str]) -> list[dict[str, Any]]:
    """The packages that files come from, each once, with where it lies in its archive."""
    every: tuple[Deb | Wheel, ...] = (*lock.debs, lock.kernel, *lock.all_wheels)
    found = [
        {
            "file": item.file,
            "size": item.size,
            "sha256": item.sha256,
            "archive": item.archive if isinstance(item, Deb) else "wheels",
            "path": item.path if isinstance(item, Deb) else item.file,
        }
        for item in every
        if item.sha256 in used
    ]
    missing = used - {FILES, COMPILED} - {str(one["sha256"]) for one in found}
    if missing:
        raise Unavailable(f"of {len(missing)} owners of files no package is known")
    return found
