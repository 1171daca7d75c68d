"""The file system of an image, in memory: packages, wheels, the agent, the app, and what ties them."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from stat import S_IFDIR, S_IFMT
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image import (
    agent_parts,
    bytecode,
    deb,
    foreign,
    kernel,
    scratch,
    slim,
    startable,
    unpack_wheel,
)
from troth.image.architecture import Architecture
from troth.image.brought import Brought
from troth.image.files import disk
from troth.image.hardware import kept
from troth.image.keys import suite
from troth.image.lock import Deb, Lock, Wheel
from troth.image.process import Process
from troth.image.recipe import FileRule, Recipe, check_place
from troth.image.store import Store
from troth.image.tree import Tree, merged
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
# Where a package may put nothing: the agent's own places, and what turns its interpreter or loader
# elsewhere. Any other code of a package may be the agent's too, for that is what its interpreter,
# standard library and C library are. They are the archive's, under pinned keys, and measured. A
# wheel's files stay below the folder of wheels, which is on the app's path only: with -I -S nobody
# reads a `.pth` or a `sitecustomize` for the agent, whoever brings it.
_AGENTS: Final = (
    "etc/ld.so.cache", "etc/ld.so.preload", "etc/troth", "init", "rootfs", "usr/bin/pybuilddir.txt",
    "usr/bin/pyvenv.cfg", "usr/lib/python313.zip", "usr/lib/troth", "usr/pyvenv.cfg",
)  # fmt: skip
_AT_ONCE: Final = min(8, os.cpu_count() or 1)
_MAX_APP_FILE: Final = 1 << 30
COMPILE: Final = "compile"
"""A script beside the recipe that makes the programs which the recipe names."""


def make(
    folder: Path, recipe: Recipe, lock: Lock, store: Store, *, brought: Brought | None = None
) -> tuple[Tree, kernel.Kernel]:
    """Everything that goes into an image, and its kernel.

    Args:
        folder: the app's.
        recipe: of the app.
        lock: that fits it.
        store: holds what the lock names.
        brought: the root that the app brings, which lies beside this one, or None.

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
    _install(tree, lock.debs, store)
    _wheels(tree, lock.wheels, store, f"usr/local/lib/python{python}/dist-packages")
    _wheels(tree, lock.agent_wheels, store, f"{AGENT}/lib")
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
    bytecode.compile_all(
        tree,
        python=python,
        strict=frozenset({"app", "troth"}),
        interpreter=interpreter(tree, lock, store),
    )
    linux = _kernel(recipe, lock, store)
    for name, module in linux.modules:
        tree.add_file(f"{MODULES}/{name}", module, owner=lock.kernel.name)
    if linux.modules:
        names = "".join(f"{name}\n" for name, _ in linux.modules)
        tree.add_file(f"{MODULES}/load", names.encode("ascii"), owner="troth")
    return tree, linux


def app_files(folder: Path, recipe: Recipe, machine: Architecture) -> Tree:
    """The app's own files alone, where they go in an image.

    Raises:
        Misuse, Unavailable: as `make`.
    """
    tree = Tree()
    for rule in recipe.files:
        _app_files(tree, folder, rule, machine)
    return tree


def interpreter(image: Tree, lock: Lock, store: Store) -> Tree:
    """What holds the interpreter that works on the image: its own, or one of this machine's kind."""
    if not lock.builder:
        return image
    tree = Tree()
    _install(tree, [replace(package, base=True) for package in lock.builder], store)
    return tree


def _kernel(recipe: Recipe, lock: Lock, store: Store) -> kernel.Kernel:
    """The kernel that the recipe asks for.

    Raises:
        Missing: it is the hardware kernel, and the store lacks it.
    """
    if recipe.kernel == "hardware":
        built = kept.find(store)
        if built is None:
            raise kept.Missing
        return built
    source = store.get(sha256=lock.kernel.sha256, name=lock.kernel.file)
    return kernel.take(source, name=lock.kernel.file, raw=lock.machine.raw)


def _install(tree: Tree, packages: Sequence[Deb], store: Store) -> None:
    """Packages in their order; several are unpacked at once, because that is most of the work."""

    def read(package: Deb) -> list[tuple[str, deb.Member]]:
        data = store.get(sha256=package.sha256, name=package.file)
        return list(_kept(data, owner=package.name, base=package.base))

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for package, members in zip(packages, pool.map(read, packages), strict=True):
            for path, member in members:
                deb.place(member, tree, path, owner=package.name)


def _kept(data: bytes, *, owner: str, base: bool) -> Iterator[tuple[str, deb.Member]]:
    """What an image has of a package, and where."""
    for member in deb.members(data, name=owner):
        path = merged(member.path)
        if any(path == place or path.startswith(f"{place}/") for place in _AGENTS):
            raise Malformed(f"holds /{path}, which no package of Debian's has", field=owner)
        if not path or slim.unread(path) or (base and not slim.kept_of_base(path)):
            continue
        yield path, member


def _wheels(tree: Tree, wheels: tuple[Wheel, ...], store: Store, into: str) -> None:
    for wheel in wheels:
        data = store.get(sha256=wheel.sha256, name=wheel.file)
        for path, content in unpack_wheel.files(data, name=wheel.file):
            # Tests of libraries are code that nothing runs; type stubs are none at all.
            if path.endswith(".pyi") or "/tests/" in path:
                continue
            tree.add_file(f"{into}/{path}", content, owner=wheel.name)


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
