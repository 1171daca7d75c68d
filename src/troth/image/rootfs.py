"""The file system of an image, in memory: packages, wheels, the agent, the app, and what ties them."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_IFDIR, S_IFMT
from typing import Any, Final

from troth.errors import Misuse
from troth.image import (
    agent_parts,
    bytecode,
    foreign,
    packages,
    scratch,
    slim,
    startable,
)
from troth.image import kernel as kernels
from troth.image.architecture import Architecture
from troth.image.brought import Brought
from troth.image.files import disk
from troth.image.hardware import kept
from troth.image.interpreter import Interpreter
from troth.image.keys import suite
from troth.image.lock import Lock
from troth.image.memo import Memo
from troth.image.process import Process
from troth.image.recipe import FileRule, Recipe, check_place
from troth.image.store import Store
from troth.image.tree import Tree
from troth.wire import json

AGENT: Final = "usr/lib/troth"
MODULES: Final = "usr/lib/modules"
_PACKAGE: Final = Path(__file__).parent.parent
_MOUNT_POINTS: Final = ("dev", "proc", "run", "sys", "tmp", "root-view")
_SEARCH: Final = ("usr/local/bin", "usr/bin", "bin")
_ETC: Final = {
    "etc/passwd": "root:x:0:0:root:/:/usr/sbin/nologin\napp:x:1000:1000:app:/tmp:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\napp:x:1000:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/hostname": "enclave\n",
}
_INIT: Final = "#!/usr/bin/python{python} -IS\n"
_MAX_APP_FILE: Final = 1 << 30
COMPILE: Final = "compile"
"""A script beside the recipe that makes the programs which the recipe names."""


@dataclass(frozen=True, slots=True)
class Rootfs:
    """What goes into an image, and what works on it: for as long as `make` is entered.

    Attributes:
        tree: all files, but those of a root that is brought.
        kernel: beside them.
        interpreter: that works on the image.
    """

    tree: Tree
    kernel: kernels.Kernel
    interpreter: Interpreter


@contextmanager
def make(
    folder: Path,
    recipe: Recipe,
    lock: Lock,
    store: Store,
    *,
    brought: Brought | None = None,
    memo: Memo | None = None,
) -> Iterator[Rootfs]:
    """Everything that goes into an image.

    Args:
        folder: the app's.
        recipe: of the app.
        lock: that fits it.
        store: holds what the lock names.
        brought: the root that the app brings, which lies beside this one, or None.
        memo: remembers what packages hold and what was compiled.

    Raises:
        Misuse: two parts bring different files at one path; a library is missing; the app's entry is
            not in the image.
        Malformed: a package is damaged.
        Unavailable: a package is not in the store, or the disk fails.
    """
    python = suite(lock.suite).python
    tree = Tree()
    for name in _MOUNT_POINTS:
        tree.add_folder(name, owner="image")
    packages.install(tree, lock.debs, store, memo)
    wheels = f"usr/local/lib/python{python}/dist-packages"
    packages.install_wheels(tree, lock.wheels, store, into=wheels, memo=memo)
    packages.install_wheels(tree, lock.agent_wheels, store, into=f"{AGENT}/lib", memo=memo)
    _agent(tree, python)
    for rule in recipe.files:
        _app_files(tree, folder, rule, lock.machine)
    for path, text in _ETC.items():
        tree.add_file(path, text.encode("ascii"), owner="image")
    if brought is None:
        scratch.in_tree(tree, recipe.scratch)
    config = _config(tree, recipe, brought, lock.machine)
    tree.add_file("etc/troth/app.json", config, owner="image")
    slim.close(tree, base=frozenset(package.name for package in lock.debs if package.base))
    with ThreadPoolExecutor(1) as beside, _interpreter(tree, lock, store, memo) as interpreter:
        taken = beside.submit(_kernel, recipe, lock, store, memo)
        strict = frozenset({"app", "troth"})
        bytecode.compile_all(tree, python=python, strict=strict, interpreter=interpreter, memo=memo)
        linux = taken.result()
        for name, module in linux.modules:
            tree.add_file(f"{MODULES}/{name}", module, owner=lock.kernel.name)
        if linux.modules:
            names = "".join(f"{name}\n" for name, _ in linux.modules)
            tree.add_file(f"{MODULES}/load", names.encode("ascii"), owner="troth")
        yield Rootfs(tree, linux, interpreter)


def app_files(folder: Path, recipe: Recipe, machine: Architecture) -> Tree:
    """The app's own files alone, where they go in an image.

    Raises:
        Misuse, Unavailable: as `make`.
    """
    tree = Tree()
    for rule in recipe.files:
        _app_files(tree, folder, rule, machine)
    return tree


def _interpreter(image: Tree, lock: Lock, store: Store, memo: Memo | None) -> Interpreter:
    """The interpreter that works on the image: its own, or one of this machine's kind."""
    tree = image
    if lock.builder:
        tree = Tree()
        slimmed = [replace(package, base=True) for package in lock.builder]
        packages.install(tree, slimmed, store, memo)
    return Interpreter(tree, python=suite(lock.suite).python)


def _kernel(recipe: Recipe, lock: Lock, store: Store, memo: Memo | None) -> kernels.Kernel:
    """The kernel that the recipe asks for.

    Raises:
        Missing: it is the hardware kernel, and the store lacks it.
    """
    if recipe.kernel == "hardware":
        built = kept.find(store)
        if built is None:
            raise kept.Missing
        return built
    return kernels.of_lock(lock, store, memo)


def _agent(tree: Tree, python: str) -> None:
    for path, data in agent_parts.files():
        tree.add_file(f"{AGENT}/lib/troth/{path}", data, owner="troth")
    boot = (_PACKAGE / "agent" / "boot.py").read_bytes()
    tree.add_file(f"{AGENT}/boot.py", boot, owner="troth")
    head = _INIT.format(python=python).encode("ascii")
    tree.add_file("init", head + boot, owner="troth", executable=True)


def _app_files(tree: Tree, folder: Path, rule: FileRule, machine: Architecture) -> None:
    source = folder / rule.source
    with disk(f"reading {rule.source}"):
        if source.resolve() != folder.resolve() / rule.source:
            raise Misuse(
                f"{rule.source} is a link, or behind one",
                fix="put the files themselves into the app's folder",
            )
        if source.is_file():
            _app_file(tree, source, rule.target.lstrip("/"), rule, machine)
            return
        if not source.is_dir():
            raise Misuse(f"{rule.source} is not in the app's folder", fix=_missing(folder))
        for path in taken(source):
            parts = (_plain(part, path) for part in path.relative_to(source).parts)
            target = f"{rule.target}/{'/'.join(parts)}".lstrip("/")
            _app_file(tree, path, target, rule, machine)


def taken(source: Path) -> Iterator[Path]:
    """What goes into an image of a folder of the app's: no hidden files, and no bytecode."""
    for path in sorted(source.rglob("*")):
        parts = path.relative_to(source).parts
        if any(part.startswith(".") or part == "__pycache__" for part in parts):
            continue
        if path.suffix != ".pyc" and (path.is_symlink() or not path.is_dir()):
            yield path


def _missing(folder: Path) -> str:
    """What to do about a file of the app that is not there: templates in compiled languages make it."""
    if (folder / COMPILE).is_file():
        return f"make it: run ./{COMPILE} in that folder"
    return "correct `files` in troth.toml"


def _plain(name: str, path: Path) -> str:
    """A file's name as UTF-8 reads its bytes, whatever the locale."""
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        raise Misuse(f"the name of {path!r} is not UTF-8", fix="rename it") from None


def _app_file(tree: Tree, path: Path, target: str, rule: FileRule, machine: Architecture) -> None:
    check_place(target, f"{path} would go to /{target}")  # of a folder only the top was looked at
    if path.is_symlink() or not path.is_file():
        raise Misuse(
            f"{path} is a link or no file", fix="put the file itself into the app's folder"
        )
    if path.stat().st_size > _MAX_APP_FILE:
        raise Misuse(f"{path} is larger than {_MAX_APP_FILE} bytes")
    mode = path.stat().st_mode if rule.mode is None else rule.mode
    data = path.read_bytes()
    if mode & 0o100:
        startable.check_machine(data, name=f"/{target}", wanted=machine.elf)
    tree.add_file(target, data, owner="app", executable=bool(mode & 0o100))


def _config(tree: Tree, recipe: Recipe, brought: Brought | None, machine: Architecture) -> bytes:
    """What the agent reads: canonical, so that there is one file for one recipe."""
    named: dict[str, list[str]] = {"measured": [], "sealed": [], "free": []}
    for name, item in recipe.config.items():
        named[item.kind].append(name)
    if brought is None:
        process = Process(
            command=(_program(tree, recipe.entry[0], machine), *recipe.entry[1:]),
            environment=recipe.environment,
            directory=_directory(tree, recipe.directory or "/"),
        )
    else:
        process = brought.process
    document: dict[str, Any] = {
        "name": recipe.name,
        "root": "/" if brought is None else f"/{foreign.ROOT}",
        "directory": process.directory,
        "entry": list(process.command),
        "environment": dict(process.environment),
        "stop_signal": process.stop_signal,
        "listen": [{"port": port} for port in recipe.listen],
        "memory": recipe.memory,
        "cpus": recipe.cpus,
        "measured": {name: recipe.config[name].value for name in named["measured"]},
        "sealed": sorted(named["sealed"]),
        "free": sorted(named["free"]),
        "raw_nsm": recipe.raw_nsm,
        "scratch": list(recipe.scratch),
    }
    return json.canonical(document)


def _directory(tree: Tree, path: str) -> str:
    place = tree.resolve(path)
    if place is None or (place and S_IFMT(tree[place].mode) != S_IFDIR):
        raise Misuse(
            f"app.directory is {path!r}, and no folder in the image",
            fix="name a folder that the app's files go to",
        )
    return path


def _program(tree: Tree, name: str, machine: Architecture) -> str:
    """The absolute path of the app's program, which must be in the image and executable."""
    tried = (name.lstrip("/"),) if "/" in name else tuple(f"{place}/{name}" for place in _SEARCH)
    for path in tried:
        found = tree.resolve(path)
        if found is not None and tree[found].mode & 0o100 and tree[found].mode & 0o100000:
            startable.check_entry(tree, found, wanted=machine.elf)
            return f"/{path}"
    raise Misuse(
        f"the entry {name!r} is no program in the image",
        fix="correct app.entry in troth.toml, or add the package or file that has it",
    )
